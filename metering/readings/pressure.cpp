#include "metering/readings/pressure.h"

#include <algorithm>
#include <charconv>

#include "sandbox/base/files.h"

namespace cloister::metering {

std::vector<Stall> parsePressure(std::string_view resource, std::string_view text) {
  constexpr std::string_view kTotal = " total=";
  std::vector<Stall> stalls;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto kind = line.substr(0, line.find(' '));
    const auto at = line.rfind(kTotal);
    if ((kind != "some" && kind != "full") || at == std::string_view::npos) continue;
    const auto digits = line.substr(at + kTotal.size());
    std::uint64_t micros = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), micros);
    if (code != std::errc() || end != digits.data() + digits.size()) continue;
    stalls.push_back({std::string(resource), std::string(kind), micros});
  }
  return stalls;
}

std::vector<Stall> readPressure(int directory) {
  std::vector<Stall> stalls;
  for (const std::string resource : {"cpu", "memory", "io"}) {
    const auto text = files::read(directory, resource + ".pressure", 1024);
    if (!text) continue;
    for (auto& stall : parsePressure(resource, *text)) stalls.push_back(std::move(stall));
  }
  return stalls;
}

}  // namespace cloister::metering
