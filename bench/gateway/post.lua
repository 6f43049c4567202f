-- wrk: posts the body in the file $BODY, and says as JSON what came of it.
local file = io.open(os.getenv("BODY"), "r")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
if os.getenv("KEY") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY") end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'RESULT {"per_s": %.1f, "p50_us": %d, "p99_us": %d, "failed": %d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50), latency:percentile(99),
    failed.status + failed.connect + failed.read + failed.write + failed.timeout))
end
