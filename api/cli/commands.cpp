#include "api/cli/commands.h"

#include <Poco/JSON/Array.h>
#include <fmt/format.h>

#include <chrono>
#include <istream>
#include <ostream>
#include <sstream>
#include <thread>

#include "api/cli/archive.h"
#include "api/cli/last_lines.h"
#include "sandbox/base/caller_terminal.h"
#include "sandbox/base/utf8.h"

namespace cloister::cli {

Api& Context::api() {
  if (!connection) {
    Settings settings = loadSettings(flags, environment, files);
    if (settings.token.empty()) {
      std::string places;
      for (const auto& file : files) places += fmt::format(" or `token` in {}", file.string());
      throw SettingsError(fmt::format("no token: give --token, CLOISTER_TOKEN{}", places));
    }
    connection = std::make_unique<Api>(std::move(settings));
  }
  return *connection;
}

CLI::App* addVerb(CLI::App& parent, const std::string& name, const std::string& description,
                  const std::vector<std::string>& examples) {
  CLI::App* verb = parent.add_subcommand(name, description);
  std::string footer = "Examples:";
  for (const std::string& example : examples) footer += "\n  cloister " + example;
  verb->footer(footer + "\n");
  return verb;
}

void onRun(CLI::App& verb, Context& context, std::function<int()> action) {
  verb.callback([&verb, &context, action = std::move(action)] {
    if (verb.get_subcommands().empty()) context.action = action;
  });
}

std::string AppChoice::resolved() const {
  if (!name.empty()) return name;
  const std::string derived = appNameFor(std::filesystem::current_path());
  if (derived.empty()) throw UsageError("app: the directory's name gives no app name; use --app");
  return derived;
}

void addAppOption(CLI::App& verb, AppChoice& choice) {
  verb.add_option("-a,--app", choice.name, "the app (default: the working directory's name)");
}

void confirm(Context& context, bool yes, const std::string& question, Unattended unattended) {
  if (yes) return;
  if (!terminal::isTerminal(0)) {
    if (unattended == Unattended::goesOn) return;
    throw UsageError(question + " Nobody can be asked here: give --yes");
  }
  context.streams.err << printable(question) << " [y/N] " << std::flush;
  std::string answer;
  std::getline(context.streams.in, answer);
  if (answer != "y" && answer != "Y" && answer != "yes") throw std::runtime_error("not confirmed; nothing was changed");
}

Query scoped(Context& context, Query extra) {
  const std::string& tenant = context.api().settings().tenant;
  if (!tenant.empty()) extra.emplace_back("tenant", tenant);
  return extra;
}

std::string appPath(const AppChoice& app, const std::string& below) {
  return "/v1/apps/" + segment(app.resolved()) + below;
}

std::string json(const Poco::JSON::Object& object) {
  std::ostringstream out;
  object.stringify(out);
  return utf8::jsonText(out.str());
}

std::string requestBody(const Poco::JSON::Object& object) {
  for (const auto& [name, value] : object) {
    if (!utf8::valid(name)) throw UsageError(fmt::format("\"{}\" is not UTF-8", printable(name)));
    if (value.isString() && !utf8::valid(value.extract<std::string>()))
      throw UsageError(fmt::format("the value of {} is not UTF-8; give bytes as base64", printable(name)));
  }
  return json(object);
}

int showList(Context& context, const std::string& path, const Query& query, const std::vector<Column>& columns) {
  Table table(columns);
  Poco::JSON::Array::Ptr all = new Poco::JSON::Array;
  std::string cursor;
  std::string first;
  bool severalPages = false;
  do {
    Query page = query;
    if (!cursor.empty()) page.emplace_back("cursor", cursor);
    const Response response = context.api().send({.path = path, .query = page});
    severalPages = !first.empty();
    if (first.empty()) first = response.body;
    const auto list = response.object();
    if (const auto items = list->getArray("items"); !items.isNull()) {
      for (std::size_t i = 0; i < items->size(); ++i) {
        table.add(*items->getObject(static_cast<unsigned>(i)));
        all->add(items->get(static_cast<unsigned>(i)));
      }
    }
    cursor = text(*list, "next");
  } while (!cursor.empty());
  if (context.format == Format::table) {
    table.print(context.streams.out);
  } else if (severalPages) {
    Poco::JSON::Object whole;
    whole.set("items", all);
    context.streams.out << json(whole) << '\n';
  } else {
    context.streams.out << first << '\n';
  }
  return 0;
}

int showObject(Context& context, const Response& response, const std::vector<Column>& fields) {
  if (context.format == Format::json) {
    context.streams.out << response.body << '\n';
  } else {
    printFields(context.streams.out, fields, *response.object());
  }
  return 0;
}

int showDone(Context& context, const Response& response, const std::string& line) {
  if (context.format == Format::table) {
    context.streams.out << printable(line) << '\n';
  } else if (!response.body.empty()) {
    context.streams.out << response.body << '\n';
  }
  return 0;
}

void showNotice(Context& context, const Poco::JSON::Object& operation) {
  const std::string notice = text(operation, "notice");
  if (!notice.empty() && notice != context.noticeShown) context.streams.err << printable("Note: " + notice) << '\n';
  context.noticeShown = notice;
}

Response awaitOperation(Context& context, const Response& accepted, const Query& query) {
  constexpr auto kPatience = std::chrono::seconds(60);
  Response latest = accepted;
  auto operation = latest.object();
  const std::string path = "/v1/operations/" + segment(text(*operation, "id"));
  Query waiting = query;
  waiting.emplace_back("wait", "30");
  std::string shown;
  auto answered = std::chrono::steady_clock::now();
  while (true) {
    showNotice(context, *operation);
    const std::string progress = text(*operation, "progress");
    const std::string state = text(*operation, "state");
    // A failure is told by its reason.
    if (!progress.empty() && progress != shown && state != "failed") {
      context.streams.err << printable(progress) << '\n';
    }
    shown = progress;
    if (state == "succeeded" || state == "failed") return latest;
    try {
      Query next = waiting;
      next.emplace_back("progress", progress);
      latest = context.api().send({.path = path, .query = next});
      operation = latest.object();
      answered = std::chrono::steady_clock::now();
    } catch (const TransportError&) {
      if (std::chrono::steady_clock::now() - answered > kPatience) throw;
    }
  }
}

bool reportOperation(Context& context, const Poco::JSON::Object& operation) {
  if (text(operation, "state") == "succeeded") return true;
  std::string line = text(operation, "failure.detail");
  if (line.empty()) line = text(operation, "kind") + " failed";
  const std::string code = text(operation, "failure.code");
  if (!code.empty()) line += fmt::format(" [{}]", code);
  context.streams.err << "cloister: " << printable(line) << '\n';
  showLastLines(context, operation);
  return false;
}

int followOperation(Context& context, const Response& accepted, const Query& query, Wait wait,
                    const std::string& line) {
  if (wait == Wait::no) {
    return showDone(context, accepted, "accepted: operation " + text(*accepted.object(), "id"));
  }
  const Response ended = awaitOperation(context, accepted, query);
  const auto operation = ended.object();
  const bool succeeded = reportOperation(context, *operation);
  if (context.format == Format::json) {
    context.streams.out << ended.body << '\n';
  } else if (succeeded) {
    const std::string result = text(*operation, "result");
    context.streams.out << printable(result.empty() ? line : line + ": " + result) << '\n';
  }
  return succeeded ? 0 : 1;
}

}  // namespace cloister::cli
