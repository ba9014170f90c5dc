#include "api/cli/log_resume.h"

#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeFormatter.h>
#include <Poco/DateTimeParser.h>
#include <Poco/Timestamp.h>

#include <algorithm>

namespace cloister::cli {
namespace {

constexpr std::size_t kRemembered = 20'000;
constexpr Poco::Timestamp::TimeDiff kOverlapMicros = 2'000'000;

}  // namespace

std::string LogResume::since() const {
  if (newest_.empty()) return {};
  int offset = 0;
  Poco::DateTime time;
  if (!Poco::DateTimeParser::tryParse(Poco::DateTimeFormat::ISO8601_FRAC_FORMAT, newest_, time, offset)) return newest_;
  return Poco::DateTimeFormatter::format(time.timestamp() - kOverlapMicros, "%Y-%m-%dT%H:%M:%S.%FZ");
}

bool LogResume::take(const std::string& at, const std::string& line) {
  const std::string key = at + ' ' + line;
  if (const auto known = pending_.find(key); known != pending_.end()) {
    if (--known->second == 0) pending_.erase(known);
    return false;
  }
  newest_ = std::max(newest_, at);
  ++shown_[key];
  order_.push_back(key);
  if (order_.size() > kRemembered) {
    if (const auto oldest = shown_.find(order_.front()); oldest != shown_.end() && --oldest->second == 0) {
      shown_.erase(oldest);
    }
    order_.pop_front();
  }
  return true;
}

}  // namespace cloister::cli
