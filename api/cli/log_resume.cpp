#include "api/cli/log_resume.h"

#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeFormatter.h>
#include <Poco/DateTimeParser.h>

#include <algorithm>

namespace cloister::cli {
namespace {

constexpr Poco::Timestamp::TimeDiff kOverlapMicros = 2'000'000;

// Nothing for an age: Poco would read a year out of its digits.
std::optional<Poco::Timestamp> parsed(const std::string& text) {
  if (text.find('T') == std::string::npos) return {};
  int offset = 0;
  Poco::DateTime time;
  if (!Poco::DateTimeParser::tryParse(Poco::DateTimeFormat::ISO8601_FRAC_FORMAT, text, time, offset)) return {};
  time.makeUTC(offset);
  return time.timestamp();
}

}  // namespace

LogResume::LogResume(const std::string& from) : from_(parsed(from)) {}

std::string LogResume::since() const {
  const auto newest = parsed(newest_);
  if (!newest) return newest_;
  auto since = *newest - kOverlapMicros;
  if (from_) since = std::max(since, *from_);
  return Poco::DateTimeFormatter::format(since, "%Y-%m-%dT%H:%M:%S.%FZ");
}

void LogResume::reconnecting() {
  for (auto& [instance, last] : last_) {
    last.behind = true;
    last.repeated = 0;
  }
}

bool LogResume::take(const std::string& instance, const std::string& at) {
  Last& last = last_[instance];
  if (last.behind) {
    if (at < last.at) return false;
    if (at == last.at) {
      last.behind = ++last.repeated < last.lines;
      return false;
    }
    last.behind = false;
  }
  newest_ = std::max(newest_, at);
  last.lines = at == last.at ? last.lines + 1 : 1;
  last.at = at;
  return true;
}

}  // namespace cloister::cli
