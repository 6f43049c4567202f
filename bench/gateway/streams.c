/* Opens N streams over and over, and times them.
 *
 *   streams PORT CONNECTIONS SECONDS BODY_FILE KEY [SAMPLES_FILE]
 *
 * Prints one line of JSON: streams a second, microseconds to the first event (p50, p99) and to
 * the end, events in each stream, the share of events in an HTTP chunk of their own, how many
 * streams failed, and how many did not have the text that the model server sends.
 *
 * SAMPLES_FILE gets a line for each event: when it came, in seconds of CLOCK_MONOTONIC, and how
 * many microseconds later than the quickest event of its stream, at one event each PACE_MS. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1024, INPUT = 1 << 18, SAMPLES = 1 << 20, EVENTS = 256, WORDS = 50, PACE_MS = 10 };

struct stream {
    int fd;
    double began_us;
    int seen;
    size_t held, looked;
    int came;
    double came_us[EVENTS];
    char input[INPUT];
};

static struct stream *streams;
static char request[1 << 17];
static size_t request_size;
static int port, poll_fd;
static double *first_us, *whole_us;
static long firsts, wholes, events, alone, failed, broken;
static char expected[WORDS * 8];
static FILE *samples;

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at(double *values, long count, double share) {
    return count ? values[(long)((double)(count - 1) * share)] : 0;
}

static void dial(struct stream *s, uint32_t number) {
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s->fd, (struct sockaddr *)&address, sizeof address)) exit((perror("connect"), 1));
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, s->fd, &event);
}

static void begin(struct stream *s) {
    s->began_us = now_us();
    s->seen = 0;
    s->held = s->looked = 0;
    s->came = 0;
    if (write(s->fd, request, request_size) != (ssize_t)request_size) exit((perror("write"), 1));
}

static void again(struct stream *s, uint32_t number) {
    close(s->fd);
    dial(s, number);
    begin(s);
}

/* Stamps the events that the last read has brought. */
static void stamp(struct stream *s) {
    char *place = s->input + s->looked, *end = s->input + s->held;
    double now = now_us();
    while ((place = memmem(place, (size_t)(end - place), "data: ", 6))) {
        if (s->came < EVENTS) s->came_us[s->came++] = now;
        place += 6;
        s->looked = (size_t)(place - s->input);
    }
}

/* Looks at the chunks of a whole answer: events in each, and the text of all. */
static void inspect(const struct stream *s) {
    const char *place = memmem(s->input, s->held, "\r\n\r\n", 4), *end = s->input + s->held;
    static char text[INPUT];
    size_t written = 0, size;
    for (place += 4; place < end && (size = strtoul(place, NULL, 16)) > 0; place += size + 2) {
        int found = 0;
        place = (char *)memmem(place, (size_t)(end - place), "\r\n", 2) + 2;
        const char *at = place, *last = place + size;
        while ((at = memmem(at, (size_t)(last - at), "data: ", 6))) { found++; at += 6; }
        events += found;
        if (found == 1) alone++;
        at = place;
        while ((at = memmem(at, (size_t)(last - at), "\"content\":\"", 11))) {
            for (at += 11; at < last && *at != '"'; at++) text[written++] = *at;
        }
    }
    if (written != strlen(expected) || memcmp(text, expected, written)) broken++;
}

static void sample(const struct stream *s) {
    double began = s->came_us[0];
    for (int i = 1; i < s->came && i < WORDS; i++) {
        double would_be = s->came_us[i] - i * PACE_MS * 1e3;
        if (would_be < began) began = would_be;
    }
    for (int i = 0; i < s->came && i < WORDS; i++)
        fprintf(samples, "%.6f %.0f\n", s->came_us[i] / 1e6,
                s->came_us[i] - i * PACE_MS * 1e3 - began);
}

static void take(struct stream *s, uint32_t number) {
    ssize_t got = read(s->fd, s->input + s->held, INPUT - s->held);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { failed++; again(s, number); return; }
    s->held += (size_t)got;
    if (s->held == INPUT || (s->held > 12 && strncmp(s->input + 9, "200", 3))) {
        failed++;
        again(s, number);
        return;
    }
    stamp(s);
    if (!s->seen && s->came) {
        s->seen = 1;
        if (firsts < SAMPLES) first_us[firsts++] = now_us() - s->began_us;
    }
    if (s->held < 5 || memcmp(s->input + s->held - 5, "0\r\n\r\n", 5)) return;
    if (!memmem(s->input, s->held, "data: [DONE]", 12)) failed++;
    if (wholes < SAMPLES) whole_us[wholes++] = now_us() - s->began_us;
    inspect(s);
    if (samples) sample(s);
    begin(s);
}

int main(int argc, char **args) {
    if (argc < 6)
        return fprintf(stderr, "usage: streams PORT CONNECTIONS SECONDS BODY KEY [SAMPLES]\n"), 2;
    port = atoi(args[1]);
    for (int i = 0; i < WORDS; i++) sprintf(expected + 7 * i, "word%02d ", i);
    if (argc > 6 && !(samples = fopen(args[6], "w"))) return perror(args[6]), 1;
    uint32_t wanted = (uint32_t)atoi(args[2]);
    static char body[1 << 16];
    FILE *file = fopen(args[4], "r");
    if (!file || wanted > MOST) return perror(args[4]), 1;
    size_t size = fread(body, 1, sizeof body - 1, file);
    fclose(file);
    request_size = (size_t)snprintf(request, sizeof request,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:%d\r\n"
        "Content-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
        port, args[5], size, body);
    streams = calloc(wanted, sizeof *streams);
    first_us = malloc(SAMPLES * sizeof(double));
    whole_us = malloc(SAMPLES * sizeof(double));
    poll_fd = epoll_create1(0);
    for (uint32_t i = 0; i < wanted; i++) dial(&streams[i], i);
    double start = now_us(), until = start + atof(args[3]) * 1e6;
    for (uint32_t i = 0; i < wanted; i++) begin(&streams[i]);
    while (now_us() < until) {
        struct epoll_event ready[256];
        int found = epoll_wait(poll_fd, ready, 256, 100);
        for (int i = 0; i < found; i++) take(&streams[ready[i].data.u32], ready[i].data.u32);
    }
    double seconds = (now_us() - start) / 1e6;
    qsort(first_us, (size_t)firsts, sizeof(double), ascending);
    qsort(whole_us, (size_t)wholes, sizeof(double), ascending);
    printf("{\"per_s\": %.1f, \"first_p50_us\": %.0f, \"first_p99_us\": %.0f, \"whole_p50_us\": %.0f, "
           "\"events\": %.2f, \"alone\": %.4f, \"failed\": %ld, \"broken\": %ld}\n",
           (double)wholes / seconds, at(first_us, firsts, .5), at(first_us, firsts, .99),
           at(whole_us, wholes, .5), wholes ? (double)events / (double)wholes : 0,
           events ? (double)alone / (double)events : 0, failed, broken);
    if (samples) fclose(samples);
    return 0;
}
