"""The names of attributes: OpenTelemetry's semantic conventions, and ours where there are none.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ and
https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_SCHEME = "url.scheme"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_SEED = "gen_ai.request.seed"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
DATA_SOURCE = "gen_ai.data_source.id"
PROMPT_NAME = "gen_ai.prompt.name"

INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
QUERY_TEXT = "gen_ai.retrieval.query.text"
DOCUMENTS = "gen_ai.retrieval.documents"

RELEASE = "lockgate.release"
PROMPT_VERSION = "lockgate.prompt.version"
DATA_SNAPSHOT = "lockgate.data.snapshot"
FLAGS = "lockgate.flags"
TASK = "lockgate.task"
ENGINE = "lockgate.engine"
DATA_CLASS = "lockgate.data_class"
CACHE_STATE = "lockgate.cache.state"
GUARD_FINDINGS = "lockgate.guard.findings"
GUARD_RULES = "lockgate.guard.rules"
RETRIEVED = "lockgate.retrieval.documents.count"
QUEUE_SECONDS = "lockgate.queue.seconds"

CONTENT = frozenset({INPUT_MESSAGES, OUTPUT_MESSAGES, SYSTEM_INSTRUCTIONS, QUERY_TEXT, DOCUMENTS})
"""What people wrote or models said. Recorded only where content is turned on."""


def inference_name(operation: str, model: str) -> str:
    """Return the name of an inference's span: `chat smollm2`. Of a server, its kind is CLIENT."""
    return f"{operation} {model}"


def retrieval_name(source: str) -> str:
    """Return the name of a retrieval's span. Its kind is INTERNAL: indexes are in this process."""
    return f"retrieval {source}"


GUARD_INPUT, GUARD_OUTPUT = "guard input", "guard output"
CACHE_LOOKUP, CACHE_STORE = "cache lookup", "cache store"
QUEUE = "queue"
