#include "api/cli/price_list_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace cloister::cli {

std::string contentsOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw std::runtime_error(path + ": cannot be read");
  return text.str();
}

std::string priceListIn(const std::string& path) {
  const std::string text = contentsOf(path);
  if (!path.ends_with(".toml")) return text;
  try {
    const auto table = toml::parse(text, path);
    std::ostringstream out;
    out << toml::json_formatter(table);
    return out.str();
  } catch (const toml::parse_error& error) {
    throw std::runtime_error(
        fmt::format("{}, line {}: {}", path, error.source().begin.line, std::string(error.description())));
  }
}

}  // namespace cloister::cli
