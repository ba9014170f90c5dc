#include "metering/base/sql_dialect.h"

#include <algorithm>
#include <optional>

namespace cloister::metering::sql {
namespace {

constexpr auto kNone = std::string_view::npos;

// Length of the quoted text or comment that begins here, 0 if none does. An open end takes all that is left.
std::size_t opaque(std::string_view text) {
  const auto through = [&](std::size_t found, std::size_t more) { return found == kNone ? text.size() : found + more; };
  if (text.front() == '\'' || text.front() == '"') return through(text.find(text.front(), 1), 1);
  if (text.starts_with("--")) return through(text.find('\n'), 1);
  if (text.starts_with("/*")) return through(text.find("*/", 2), 2);
  return 0;
}

// Where the brace that opens `text` is closed.
std::size_t closing(std::string_view text) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const auto skip = opaque(text.substr(i)); skip > 0) {
      i += skip;
      continue;
    }
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
    ++i;
  }
  return kNone;
}

std::optional<std::string> formOf(std::string_view form, Connection::Kind kind) {
  const bool postgres = kind == Connection::Kind::postgres;
  if (form == "blob") return postgres ? "BYTEA" : "BLOB";
  if (form == "text") return postgres ? "BYTEA" : "TEXT";
  if (form == "key") return postgres ? "BIGINT PRIMARY KEY" : "INTEGER PRIMARY KEY";
  if (form == "clustered") return postgres ? "" : "WITHOUT ROWID";
  if (form.starts_with("list ")) {
    const std::string parameter(form.substr(5));
    return postgres ? "SELECT unnest(CAST(" + parameter + " AS BIGINT[]))"
                    : "SELECT value FROM json_each(" + parameter + ")";
  }
  for (const auto& [word, its] : {std::pair<std::string_view, bool>{"sqlite:", !postgres}, {"postgres:", postgres}}) {
    if (form.starts_with(word)) return its ? inDialect(form.substr(word.size()), kind) : "";
  }
  return std::nullopt;
}

}  // namespace

std::string inDialect(std::string_view text, Connection::Kind kind) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t taken = std::max<std::size_t>(opaque(text.substr(i)), 1);
    if (text[i] == '{') {
      const auto end = closing(text.substr(i));
      const auto form = end == kNone ? std::nullopt : formOf(text.substr(i + 1, end - 1), kind);
      if (form) {
        out += *form;
        i += end + 1;
        continue;
      }
    }
    out += text.substr(i, taken);
    i += taken;
  }
  return out;
}

std::string numbered(std::string_view text) {
  std::string out;
  int next = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const auto skip = opaque(text.substr(i)); skip > 0) {
      out += text.substr(i, skip);
      i += skip;
      continue;
    }
    if (text[i] != '?') {
      out += text[i++];
      continue;
    }
    out += '$';
    if (++i >= text.size() || text[i] < '0' || text[i] > '9') out += std::to_string(++next);
  }
  return out;
}

}  // namespace cloister::metering::sql
