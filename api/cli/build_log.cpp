#include "api/cli/build_log.h"

#include <algorithm>
#include <chrono>
#include <ostream>
#include <thread>

namespace cloister::cli {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

void show(const std::string& text, std::ostream& out) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out << printable(lastDrawn(std::string_view(text).substr(at, end - at)), Colour::keep);
    if (end < text.size()) out << '\n';
    at = end + 1;
  }
  out << std::flush;
}

bool ended(const std::string& state) {
  return state != "queued" && state != "running";
}

}  // namespace

std::string awaitBuild(Context& context, const std::string& path, const Query& query) {
  std::string shown;
  auto answered = std::chrono::steady_clock::now();
  while (true) {
    try {
      const auto build = context.api().send({.path = path, .query = query}).object();
      if (auto state = text(*build, "state"); state != "queued") return state;
      const auto operation =
          context.api().send({.path = "/v1/operations/" + segment(text(*build, "operation")), .query = query}).object();
      const std::string progress = text(*operation, "progress");
      if (!progress.empty() && progress != shown) context.streams.err << printable(progress) << std::endl;
      shown = progress;
      answered = std::chrono::steady_clock::now();
    } catch (const TransportError&) {
      if (std::chrono::steady_clock::now() - answered > kPatience) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void followBuildLog(Context& context, const std::string& path, const Query& query, std::ostream& out) {
  Query following = query;
  following.emplace_back("follow", "true");
  std::uint64_t shown = 0;
  auto answered = std::chrono::steady_clock::now();
  while (true) {
    std::uint64_t position = 0;
    try {
      static_cast<void>(context.api().text({.path = path + "/log", .query = following}, [&](const std::string& part) {
        const std::uint64_t skip = shown > position ? std::min<std::uint64_t>(shown - position, part.size()) : 0;
        position += part.size();
        const std::string fresh = part.substr(skip);
        shown += fresh.size();
        show(fresh, out);
        return out ? Flow::next : Flow::stop;
      }));
      const auto build = context.api().send({.path = path, .query = query}).object();
      if (!out || ended(text(*build, "state"))) return;
      answered = std::chrono::steady_clock::now();
    } catch (const TransportError&) {
      if (std::chrono::steady_clock::now() - answered > kPatience) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

void showBuildLog(Context& context, const std::string& path, const Query& query, std::ostream& out) {
  static_cast<void>(context.api().text({.path = path + "/log", .query = query}, [&](const std::string& part) {
    show(part, out);
    return out ? Flow::next : Flow::stop;
  }));
}

}  // namespace cloister::cli
