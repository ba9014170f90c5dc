#include "api/cli/event_stream.h"

#include <istream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cloister::cli {

Flow readEvents(std::istream& in, const std::function<Flow(const ServerEvent&)>& handle) {
  constexpr std::size_t kLongestLine = 1U << 20U;
  ServerEvent event;
  bool hasData = false;
  for (std::string line; std::getline(in, line);) {
    if (line.size() > kLongestLine) throw std::runtime_error("the server sent an event line above 1 MiB");
    if (in.eof()) break;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) {
      if (hasData && handle(event) == Flow::stop) return Flow::stop;
      event.event.clear();
      event.data.clear();
      hasData = false;
      continue;
    }
    const std::size_t colon = line.find(':');
    const std::string_view name = std::string_view(line).substr(0, colon);
    std::string_view value = colon == std::string::npos ? std::string_view() : std::string_view(line).substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "id") {
      event.id = value;
    } else if (name == "event") {
      event.event = value;
    } else if (name == "data") {
      if (hasData) event.data += '\n';
      event.data += value;
      hasData = true;
    }
  }
  return Flow::next;
}

}  // namespace cloister::cli
