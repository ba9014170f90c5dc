#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/WebSocket.h>
#include <Poco/String.h>

#include "api/problem.h"
#include "api/relay.h"
#include "api/representation.h"
#include "api/resources/resources.h"
#include "api/streaming.h"
#include "api/writes.h"

namespace cloister::api {
namespace {

using Poco::Net::WebSocket;

constexpr std::int64_t kMaxTerminal = 1000;
constexpr std::int64_t kMaxLines = 1'000'000;
constexpr const char* kRestarted = "the server is being restarted, and the command was ended with it";

Problem nodeUnavailable() {
  Problem problem(503, "node_unavailable", "the node did not answer in time");
  problem.headers.emplace("Retry-After", "5");
  return problem;
}

std::chrono::steady_clock::time_point joinDeadline(const Services& services) {
  return std::chrono::steady_clock::now() + std::chrono::seconds(services.config.sessionJoinSeconds);
}

bool down(const Services& services, const std::string& nodeId) {
  const auto node = services.store.nodes().find(nodeId);
  return !node || node->state == model::NodeState::down;
}

// What exec and run have in common: the terminal and the wish for a WebSocket. The command comes over that.
model::Session commandSession(const Request& request, model::SessionKind kind) {
  if (Poco::icompare(request.header("Upgrade"), std::string("websocket")) != 0) {
    throw Problem(400, "websocket_required", "this is a WebSocket endpoint", "Upgrade");
  }
  model::Session session;
  session.id = store::newId("ss");
  session.kind = kind;
  session.tenantId = request.tenant->id;
  if (request.query("argv")) {
    throw Problem(
        400, "argv_in_address",
        "the command goes over the WebSocket, not into the address; a `cloister` that is older than this server "
        "must be updated",
        "argv");
  }
  session.terminal = request.flag("tty");
  session.rows = static_cast<std::uint16_t>(request.integer("rows", 1, kMaxTerminal).value_or(24));
  session.columns = static_cast<std::uint16_t>(request.integer("columns", 1, kMaxTerminal).value_or(80));
  return session;
}

model::Instance chooseInstance(const Services& services, const Request& request, const model::App& app) {
  const auto wanted = request.query("instance");
  std::optional<model::Instance> found;
  for (const auto& record : services.store.instances().ofApp(app.id)) {
    const auto& instance = record.instance;
    if (wanted ? instance.id != *wanted : instance.state != model::InstanceState::running) continue;
    // Without a wish a web process is the best guess.
    if (!found || (instance.process == "web" && found->process != "web")) found = instance;
  }
  if (wanted && !found) throw notFound("the instance " + *wanted);
  const bool lives =
      found && (found->state == model::InstanceState::running || found->state == model::InstanceState::starting ||
                found->state == model::InstanceState::unhealthy);
  if (!lives) throw Problem(409, "not_running", wanted ? "the instance does not run" : "no instance runs", "instance");
  return *found;
}

// From the announcement to the end of the relay.
Answer converse(const Services& services, Request& request, const model::Session& session, const std::string& nodeId,
                const std::string& appId) {
  if (down(services, nodeId)) throw nodeUnavailable();
  const auto waiting = services.sessions.open(session, nodeId);
  const auto node = waiting->await(joinDeadline(services));
  if (!node) throw nodeUnavailable();
  audit(services.store, request, 101);
  const auto rights = services.rights.hold(request, appId, StreamRights::Use::running);
  try {
    WebSocket client(request.raw, request.rawResponse);
    relay(client, *node, [&] { return services.stopping ? std::string(kRestarted) : rights->why(); });
  } catch (const Poco::Net::WebSocketException& error) {
    if (request.rawResponse.sent()) throw;
    throw Problem(400, "websocket_required", error.displayText(), "Upgrade");
  }
  Answer answer;
  answer.status = 101;
  answer.sent = true;
  return answer;
}

Answer exec(const Services& services, Request& request) {
  auto session = commandSession(request, model::SessionKind::exec);
  const auto app = appOf(services, request);
  const auto instance = chooseInstance(services, request, app);
  session.instanceId = instance.id;
  const auto held = services.streams.take(request.tenant->id);
  return converse(services, request, session, instance.nodeId, app.id);
}

// A one-off instance holds quota and an address for as long as its session lasts.
class OneOff {
 public:
  OneOff(const Services& services, const std::string& appId)
      : services_(services), instance_(services.deployments.openRun(appId)) {}
  ~OneOff() {
    try {
      services_.deployments.closeRun(instance_.id);
    } catch (const std::exception&) {
      // The start of the next cloisterd closes what is left (Daemon).
    }
  }
  OneOff(const OneOff&) = delete;
  OneOff& operator=(const OneOff&) = delete;
  [[nodiscard]] const model::DesiredInstance& instance() const { return instance_; }

 private:
  const Services& services_;
  model::DesiredInstance instance_;
};

Answer run(const Services& services, Request& request) {
  auto session = commandSession(request, model::SessionKind::run);
  const auto app = appOf(services, request);
  if (app.currentRelease == 0) throw Problem(409, "no_release", "the app has no release yet");
  const auto held = services.streams.take(request.tenant->id);
  const OneOff one(services, app.id);
  session.runInstance = one.instance();
  return converse(services, request, session, services.store.instances().get(one.instance().id).instance.nodeId,
                  app.id);
}

// One session with every node that answers, for any of them may have the lines of an instance that is gone.
std::vector<std::unique_ptr<WebSocket>> joinAll(const Services& services, const model::Session& wanted) {
  std::vector<std::unique_ptr<Sessions::Waiting>> waiting;
  for (const auto& node : services.store.nodes().list()) {
    if (node.state == model::NodeState::down) continue;
    auto session = wanted;
    session.id = store::newId("ss");
    waiting.push_back(services.sessions.open(session, node.id));
  }
  const auto deadline = joinDeadline(services);
  std::vector<std::unique_ptr<WebSocket>> nodes;
  for (const auto& one : waiting) {
    if (auto socket = one->await(deadline)) nodes.push_back(std::move(socket));
  }
  if (nodes.empty()) throw nodeUnavailable();
  return nodes;
}

// A line that a full disk cut short on its way to the node's files is shown as such; those behind it are whole.
Json shownLine(const std::string& frame) {
  try {
    return represent(model::logLineFromJson(frame));
  } catch (const Poco::Exception&) {
    model::LogLine line;
    line.at = store::now();
    line.stream = "system";
    line.line = "a line of the log cannot be read";
    return represent(line);
  }
}

Answer logs(const Services& services, Request& request) {
  const auto app = appOf(services, request);
  model::Session session;
  session.kind = model::SessionKind::logs;
  session.tenantId = request.tenant->id;
  session.appId = app.id;
  session.process = request.query("process").value_or("");
  session.follow = request.flag("follow");
  session.since = request.time("since", store::now()).value_or(0);
  session.lines = request.integer("lines", 0, kMaxLines).value_or(-1);
  const bool events = request.accepts("text/event-stream");
  const auto held = services.streams.take(request.tenant->id);
  const auto rights = services.rights.hold(request, app.id, StreamRights::Use::reading);
  auto nodes = joinAll(services, session);
  Stream stream(request, events ? "text/event-stream" : "application/x-ndjson");
  std::size_t unflushed = 0;
  const auto over = [&] { return services.stopping || !rights->why().empty(); };
  collect(nodes, socketOf(request), over, [&](const std::string& frame) {
    if (frame.empty()) {
      if (events) stream.write(": alive\n\n");
    } else {
      const auto line = text(shownLine(frame));
      stream.write(events ? "data: " + line + "\n\n" : line + "\n");
      unflushed += line.size();
    }
    // A follower wants each line at once; a reader of the past wants them fast.
    if (session.follow || frame.empty() || unflushed > 65'536) {
      stream.flush();
      unflushed = 0;
      return stream.open();
    }
    return true;
  });
  return stream.finish();
}

}  // namespace

void addStreams(Router& router, const Services& services) {
  router.add("GET", "/v1/apps/{app}/logs", Access::tenant,
             [services](Request& request) { return logs(services, request); });
  router.add("GET", "/v1/apps/{app}/exec", Access::tenant,
             [services](Request& request) { return exec(services, request); });
  router.add("GET", "/v1/apps/{app}/run", Access::tenant,
             [services](Request& request) { return run(services, request); });
}

}  // namespace cloister::api
