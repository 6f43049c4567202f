-- wrk: posts bodies that differ, as real ones do, and says as JSON what came of it.
-- $BODY: a file with one MARK in it; $HEADERS: one `name: value` a line.
-- More than the quickest gateway answers while its cache keeps an answer.
local DISTINCT, MARK, WIDTH = 16384, "00000000", 8
local requests, turn = {}, 0

function init(_)
  local file = io.open(os.getenv("BODY"), "r")
  local body = file:read("*a")
  file:close()
  local place = assert(body:find(MARK, 1, true), "the body has no mark")
  local before, after = body:sub(1, place - 1), body:sub(place + WIDTH)
  for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]+)") do
    wrk.headers[name] = value
  end
  for number = 1, DISTINCT do
    local changed = before .. string.format("%08d", number) .. after
    requests[number] = wrk.format("POST", nil, nil, changed)
  end
end

function request()
  turn = turn % DISTINCT + 1
  return requests[turn]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'RESULT {"answered": %d, "per_s": %.1f, "p50_us": %d, "p99_us": %d, "failed": %d}\n',
    summary.requests, summary.requests / (summary.duration / 1e6), latency:percentile(50),
    latency:percentile(99),
    failed.status + failed.connect + failed.read + failed.write + failed.timeout))
end
