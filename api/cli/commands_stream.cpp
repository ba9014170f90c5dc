#include <Poco/JSON/Parser.h>
#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <optional>
#include <ostream>
#include <thread>

#include "api/cli/commands.h"
#include "api/cli/log_resume.h"
#include "api/cli/session.h"
#include "sandbox/base/caller_terminal.h"

namespace cloister::cli {
namespace {

constexpr auto kReconnectPause = std::chrono::milliseconds(500);
// A server that restarts is back in seconds. After this long without an answer there is nothing to follow.
constexpr auto kGiveUp = std::chrono::minutes(2);
constexpr const char* kDefaultLines = "100";

struct LogOptions {
  AppChoice app;
  bool follow = false;
  std::string since;
  std::string lines;
  std::string process;
};

Poco::JSON::Object::Ptr parsed(const std::string& data) {
  return Response{200, data}.object();
}

// Follows a stream over restarts of the server: calls `connect`, told whether there was a stream before, until it says
// that the reader has had enough. What fails before the first stream, what the server refuses, and kGiveUp of silence
// are thrown.
int follow(const std::function<StreamEnd(bool again)>& connect) {
  using Clock = std::chrono::steady_clock;
  bool again = false;
  std::optional<Clock::time_point> silentSince;
  const auto mayPass = [&] {
    if (!silentSince) silentSince = Clock::now();
    return again && Clock::now() - *silentSince < kGiveUp;
  };
  while (true) {
    try {
      if (connect(again) == StreamEnd::stopped) return 0;
      again = true;
      silentSince.reset();
    } catch (const TransportError&) {
      if (!mayPass()) throw;
    } catch (const ApiError& error) {
      // A node that restarts is unavailable for a moment.
      if (error.status() < 500 || !mayPass()) throw;
    }
    std::this_thread::sleep_for(kReconnectPause);
  }
}

void showLogLine(Context& context, const std::string& data, const Poco::JSON::Object& line) {
  std::ostream& out = context.streams.out;
  if (context.format == Format::json) {
    out << data << '\n';
  } else {
    // On a terminal a tenant's bytes are shown, never obeyed; a file gets them as they are.
    const std::string content = text(line, "line");
    out << humanTime(text(line, "at")) << ' '
        << printable(fmt::format("{}/{} {}", text(line, "process"), text(line, "instance"), text(line, "stream")))
        << " | " << (terminal::isTerminal(1) ? printable(content, Colour::keep) : content) << '\n';
  }
  out << std::flush;
}

int logs(Context& context, const LogOptions& options) {
  Query query = scoped(context);
  if (!options.process.empty()) query.emplace_back("process", options.process);
  if (options.follow) query.emplace_back("follow", "true");
  Query first = query;
  if (!options.since.empty()) first.emplace_back("since", options.since);
  const std::string lines = options.lines.empty() && options.since.empty() ? kDefaultLines : options.lines;
  if (!lines.empty()) first.emplace_back("lines", lines);

  LogResume resume(options.since);
  const std::string path = appPath(options.app, "/logs");
  const auto handle = [&](const ServerEvent& event) {
    if (!event.event.empty() && event.event != "message" && event.event != "line" && event.event != "log") {
      return Flow::next;
    }
    const auto line = parsed(event.data);
    if (resume.take(text(*line, "instance"), text(*line, "at"))) showLogLine(context, event.data, *line);
    return context.streams.out ? Flow::next : Flow::stop;
  };
  const auto connect = [&](bool again) {
    Query now = first;
    if (const std::string since = resume.since(); again && !since.empty()) {
      now = query;
      now.emplace_back("since", since);
      resume.reconnecting();
    }
    return context.api().events({.path = path, .query = now}, {}, handle);
  };
  if (options.follow) return follow(connect);
  (void)connect(false);
  return 0;
}

void showEvent(Context& context, const std::vector<Column>& columns, const std::string& data) {
  std::ostream& out = context.streams.out;
  if (context.format == Format::json) {
    out << data << '\n' << std::flush;
    return;
  }
  const auto object = parsed(data);
  for (const Column& column : columns) {
    out << (&column == &columns.front() ? "" : "  ") << cell(*object, column.member, column.unit);
  }
  out << '\n' << std::flush;
}

int events(Context& context, const std::string& app, bool following) {
  const std::vector<Column> columns{
      {"AT", "at", Unit::time}, {"TENANT", "tenant"}, {"APP", "app"}, {"EVENT", "kind"}, {"WHAT", "text"}};
  Query query = scoped(context);
  if (!app.empty()) query.emplace_back("app", app);
  if (!following) return showList(context, "/v1/events", query, columns);
  query.emplace_back("follow", "true");
  std::string last;
  return follow([&](bool) {
    return context.api().events({.path = "/v1/events", .query = query}, last, [&](const ServerEvent& event) {
      last = event.id;
      showEvent(context, columns, event.data);
      return context.streams.out ? Flow::next : Flow::stop;
    });
  });
}

struct SessionOptions {
  AppChoice app;
  std::string instance;
  std::vector<std::string> words;
  bool noTerminal = false;
};

int session(Context& context, const SessionOptions& options, const std::string& verb) {
  AppChoice app = options.app;
  std::vector<std::string> command;
  auto words = options.words;
  if (app.name.empty() && !words.empty()) {
    app.name = words.front();
    words.erase(words.begin());
  }
  if (context.tail) {
    if (!words.empty())
      throw UsageError(fmt::format("{}: \"{}\" stands before --; write {} APP -- COMMAND", verb, words.front(), verb));
    command = *context.tail;
  } else {
    command = words;
  }
  if (command.empty()) throw UsageError(fmt::format("{}: no command; write {} APP -- COMMAND", verb, verb));

  checkCommand(command);

  const bool interactive = !options.noTerminal && terminal::isTerminal(0) && terminal::isTerminal(1);
  Query query = scoped(context);
  if (!options.instance.empty()) query.emplace_back("instance", options.instance);
  if (interactive) {
    const terminal::WindowSize size = terminal::windowSize(0);
    query.emplace_back("tty", "true");
    query.emplace_back("rows", std::to_string(size.rows));
    query.emplace_back("columns", std::to_string(size.columns));
  }
  Connection connection = context.api().connect({.path = appPath(app, "/" + verb), .query = query});
  return runSession(connection, command, interactive ? terminal::Mode::raw : terminal::Mode::asIs);
}

void addSession(CLI::App& root, Context& context, const std::string& name, const std::string& description,
                const std::vector<std::string>& examples) {
  const auto options = std::make_shared<SessionOptions>();
  CLI::App* verb = addVerb(root, name, description, examples);
  verb->add_option("app", options->words, "the app (default: the working directory's name), then -- and the command");
  addAppOption(*verb, options->app);
  if (name == "exec") verb->add_option("-i,--instance", options->instance, "this instance (default: one that runs)");
  verb->add_flag("--no-tty", options->noTerminal, "no terminal, even when standard input is one");
  onRun(*verb, context, [&context, options, name] { return session(context, *options, name); });
}

}  // namespace

void addStreamCommands(CLI::App& root, Context& context) {
  const auto options = std::make_shared<LogOptions>();
  CLI::App* verb =
      addVerb(root, "logs", "show the output of an app's instances",
              {"logs shop", "logs -f --app shop", "logs shop --since 10m --process web", "logs shop --lines 20"});
  verb->add_option("app", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*verb, options->app);
  verb->add_flag("-f,--follow", options->follow, "go on with new lines");
  verb->add_option("--since", options->since, "from this time on: an age as 30s, 10m, 2h, 1d, or RFC 3339");
  verb->add_option("-n,--lines", options->lines, "the last N lines of each instance (default: 100 without --since)")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("-p,--process", options->process, "only this process type");
  onRun(*verb, context, [&context, options] { return logs(context, *options); });

  const auto following = std::make_shared<bool>(false);
  const auto app = std::make_shared<std::string>();
  CLI::App* eventsVerb = addVerb(root, "events", "show what happened: crashes, limits hit, builds, releases",
                                 {"events", "events shop -f", "events --tenant acme -o json"});
  eventsVerb->add_option("app,-a,--app", *app, "only this app (default: all)");
  eventsVerb->add_flag("-f,--follow", *following, "go on with new events");
  onRun(*eventsVerb, context, [&context, app, following] { return events(context, *app, *following); });

  addSession(root, context, "exec", "run a command in a running instance; its exit code is passed on",
             {"exec shop -- sh", "exec shop --instance in-7c1d -- ps aux", "exec -- cat /etc/os-release"});
  addSession(root, context, "run", "run a command in a new one-off instance of the current release",
             {"run shop -- npm run migrate", "run --app shop -- env"});
}

}  // namespace cloister::cli
