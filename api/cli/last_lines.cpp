#include "api/cli/last_lines.h"

#include <Poco/JSON/Parser.h>
#include <fmt/format.h>

#include <deque>
#include <ostream>
#include <utility>

namespace cloister::cli {
namespace {

constexpr std::size_t kShown = 10;
// Cloister's own lines are among them: a start and an end for each attempt.
constexpr const char* kAsked = "40";

}  // namespace

void showLastLines(Context& context, const Poco::JSON::Object& operation) {
  const std::string instance = text(operation, "failure.instance");
  const std::string subject = text(operation, "subject");
  constexpr std::string_view kApp = "app/";
  if (instance.empty() || !subject.starts_with(kApp)) return;
  const AppChoice app{subject.substr(kApp.size())};
  std::ostream& err = context.streams.err;
  // Of this attempt and of the one before: each says much the same, and one that still runs has not said why it ends.
  std::deque<std::string> lines;
  std::deque<std::string> before;
  bool running = false;
  try {
    const auto handle = [&](const ServerEvent& event) {
      if (event.data.empty()) return Flow::next;
      Poco::JSON::Parser parser;
      const auto line = parser.parse(event.data).extract<Poco::JSON::Object::Ptr>();
      if (text(*line, "instance") != instance) return Flow::next;
      if (text(*line, "stream") == "system") {
        running = text(*line, "line").starts_with("started ");
        if (running && !lines.empty()) before = std::exchange(lines, {});
        return Flow::next;
      }
      lines.push_back(text(*line, "line"));
      if (lines.size() > kShown) lines.pop_front();
      return Flow::next;
    };
    (void)context.api().events({.path = appPath(app, "/logs"), .query = scoped(context, {{"lines", kAsked}})}, {},
                               handle);
  } catch (const std::exception&) {
    err << printable(fmt::format("Its last lines: cloister logs {}", app.name)) << '\n';
    return;
  }
  if ((running && !before.empty()) || lines.empty()) lines = before;
  err << (lines.empty() ? "It wrote nothing." : "Its last lines:") << '\n';
  for (const auto& line : lines) err << "  " << printable(line, Colour::keep) << '\n';
}

}  // namespace cloister::cli
