/* A model server that costs next to nothing: one thread, epoll, HTTP/1.1 with kept connections.
 *
 *   model PORT PACE_MS
 *
 * A body with "stream":true gets CHUNKS server-sent events, one each PACE_MS (0: all at once);
 * any other body gets one fixed JSON answer. `/v1/traces` takes spans, and `GET /count` says how
 * many of each there were. It trusts its clients: it is for measuring only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 4096, INPUT = 1 << 20, CHUNKS = 50, EVENT = 512 };

struct client {
    char *input;
    size_t held;
    int next;       /* the next event of its stream; CHUNKS + 1: no stream */
    double due_ms;
};

static struct client clients[CLIENTS];
static char answer[4096], events[CHUNKS + 1][EVENT];
static const char stream_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
static double pace_ms;
static int streams;
static long answered, traced;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void put(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) { usleep(50); continue; }
        if (sent <= 0) return;
        data += sent;
        size -= (size_t)sent;
    }
}

static void prepare(void) {
    const char *text = "The container was killed for lack of memory (exit code 137): its limit is "
                       "256Mi. Look at the heap at the last restart, then raise the limit or find "
                       "the leak. Next: kubectl describe pod api-7c9d | grep -A3 Limits";
    char json[2048];
    int size = snprintf(json, sizeof json,
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1760000000,"
        "\"model\":\"bench\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"%s\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":"
        "{\"prompt_tokens\":64,\"completion_tokens\":57,\"total_tokens\":121}}", text);
    snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        size, json);
    for (int i = 0; i < CHUNKS; i++) {
        char data[400];
        int length = snprintf(data, sizeof data,
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,"
            "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"word%02d \"},"
            "\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
            i ? "" : "\"role\":\"assistant\",", i, i == CHUNKS - 1 ? "\"stop\"" : "null");
        snprintf(events[i], EVENT, "%x\r\n%s\r\n", length, data);
    }
    snprintf(events[CHUNKS], EVENT, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
}

/* Answers what is no question to the model; 0 if it is one. */
static int aside(int fd, const char *input) {
    char body[128], reply[256];
    int counts = !memcmp(input, "GET ", 4);
    if (!counts && memcmp(input, "POST /v1/traces ", 16)) { answered++; return 0; }
    if (counts) snprintf(body, sizeof body, "{\"answered\": %ld, \"traced\": %ld}", answered, traced);
    else { traced++; strcpy(body, "{}"); }
    int size = snprintf(reply, sizeof reply,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(body), body);
    put(fd, reply, (size_t)size);
    return 1;
}

/* Bytes of the first whole request, its body in *body; 0 if it is not whole. */
static size_t whole(struct client *c, char **body, size_t *size) {
    char *end = memmem(c->input, c->held, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - c->input) + 4;
    *end = 0;
    char *length = strcasestr(c->input, "\r\ncontent-length:");
    *end = '\r';
    *size = length ? (size_t)atol(length + 17) : 0;
    *body = c->input + head;
    return c->held < head + *size ? 0 : head + *size;
}

static void serve(int fd) {
    struct client *c = &clients[fd];
    char *body;
    size_t size, used;
    while (c->next > CHUNKS && (used = whole(c, &body, &size)) > 0) {
        int streamed = memmem(body, size, "\"stream\":true", 13) != NULL, done = aside(fd, c->input);
        memmove(c->input, c->input + used, c->held -= used);
        if (done) continue;
        if (!streamed) { put(fd, answer, strlen(answer)); continue; }
        put(fd, stream_head, sizeof stream_head - 1);
        if (pace_ms <= 0) {
            for (int i = 0; i <= CHUNKS; i++) put(fd, events[i], strlen(events[i]));
            continue;
        }
        c->next = 0;
        c->due_ms = now_ms();
        streams++;
    }
}

static void pace(void) {
    double now = now_ms();
    for (int fd = 0; fd < CLIENTS; fd++) {
        struct client *c = &clients[fd];
        if (c->next > CHUNKS || !c->input || c->due_ms > now) continue;
        put(fd, events[c->next], strlen(events[c->next]));
        c->due_ms += pace_ms;
        if (c->next == CHUNKS - 1) { c->next++; put(fd, events[CHUNKS], strlen(events[CHUNKS])); }
        if (++c->next > CHUNKS) { streams--; serve(fd); }
    }
}

static void drop(int fd) {
    if (clients[fd].next <= CHUNKS) streams--;
    clients[fd].next = CHUNKS + 1;
    clients[fd].held = 0;
    close(fd);
}

int main(int count, char **args) {
    if (count < 3) return fprintf(stderr, "usage: model PORT PACE_MS\n"), 2;
    pace_ms = atof(args[2]);
    signal(SIGPIPE, SIG_IGN);
    prepare();
    int on = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(args[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listening, (struct sockaddr *)&address, sizeof address) || listen(listening, 1024))
        return perror("model"), 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listening}, ready[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int found = epoll_wait(poll, ready, 256, streams > 0 ? 1 : 1000);
        for (int i = 0; i < found; i++) {
            int fd = ready[i].data.fd;
            if (fd == listening) {
                int client = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
                if (client < 0) continue;
                if (client >= CLIENTS) { close(client); continue; }
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                if (!clients[client].input) clients[client].input = malloc(INPUT);
                clients[client].held = 0;
                clients[client].next = CHUNKS + 1;
                event.data.fd = client;
                epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
                continue;
            }
            struct client *c = &clients[fd];
            ssize_t got = read(fd, c->input + c->held, INPUT - c->held);
            if (got <= 0) { if (got == 0 || errno != EAGAIN) drop(fd); continue; }
            c->held += (size_t)got;
            serve(fd);
        }
        if (streams > 0) pace();
    }
}
