#include "controlplane/node/log_store.h"

#include <Poco/Exception.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <deque>
#include <filesystem>

#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"
#include "sandbox/base/streams.h"
#include "sandbox/base/utf8.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::string fileName(const std::string& directory, int age) {
  return directory + "/" + (age == 0 ? std::string("current") : std::to_string(age));
}

}  // namespace

std::string printable(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = utf8::letterAt(bytes, at);
    const auto byte = static_cast<unsigned char>(bytes[at]);
    const bool control = byte < 0x20U ? byte != '\t' && byte != 0x1BU : byte == 0x7FU;
    if (length == 0 || (length == 1 && control)) {
      text += kReplacement;
      ++at;
    } else {
      text += bytes.substr(at, length);
      at += length;
    }
  }
  return text;
}

LogStore::LogStore(std::string directory, Origin origin, std::uint64_t fileBytes)
    : directory_(std::move(directory)), origin_(std::move(origin)), fileBytes_(fileBytes) {}

Status LogStore::openCurrent() {
  if (auto made = files::makeDirectories(directory_, 0700); !made) return made;
  auto fd =
      files::openAt(AT_FDCWD, fileName(directory_, 0), O_WRONLY | O_CREAT | O_APPEND, files::Resolve::anywhere, 0600);
  if (!fd) return fd.error();
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return errnoError("logs", "fstat", directory_);
  file_ = std::move(fd).value();
  size_ = static_cast<std::uint64_t>(status.st_size);
  return {};
}

void LogStore::rotate() {
  std::error_code code;
  for (int age = kLogFiles - 1; age > 0; --age) {
    fs::rename(fileName(directory_, age - 1), fileName(directory_, age), code);
  }
  file_.reset();
}

Status LogStore::append(const std::string& stream, const std::vector<std::string>& lines) {
  const std::lock_guard lock(mutex_);
  std::string text;
  const model::Micros at = counters::utcMicros();
  for (const auto& line : lines) {
    text += model::toJson(model::LogLine{at, origin_.app, origin_.process, origin_.instance, stream, line});
    text += '\n';
  }
  if (file_.valid() && size_ + text.size() > fileBytes_) rotate();
  if (!file_.valid()) {
    if (auto done = openCurrent(); !done) return done;
    if (size_ > 0 && size_ + text.size() > fileBytes_) {
      rotate();
      if (auto done = openCurrent(); !done) return done;
    }
  }
  if (auto done = files::writeAll(file_.get(), text); !done) {
    file_.reset();
    return done;
  }
  size_ += text.size();
  return {};
}

void LogStore::system(const std::string& line) {
  if (auto done = append("system", {printable(line)}); !done) {
    spdlog::warn("{}: {}", origin_.instance, done.error().message());
  }
}

LogReader::LogReader(std::string directory) : directory_(std::move(directory)) {}

// Where our file stands now: 0 for `current`, -1 when it is no longer kept.
int LogReader::age() const {
  for (int age = 0; age < kLogFiles; ++age) {
    struct stat status {};
    if (::stat(fileName(directory_, age).c_str(), &status) != 0) continue;
    if (status.st_ino == inode_ && status.st_dev == device_) return age;
  }
  return -1;
}

// Opens the first file there is from `age` on towards `current`.
bool LogReader::open(int age) {
  for (; age >= 0; --age) {
    auto fd = files::openAt(AT_FDCWD, fileName(directory_, age), O_RDONLY);
    if (!fd) continue;
    struct stat status {};
    if (::fstat(fd->get(), &status) != 0) continue;
    file_ = std::move(fd).value();
    inode_ = status.st_ino;
    device_ = status.st_dev;
    whole_ = false;
    rest_.clear();
    return true;
  }
  return false;
}

// At the end of our file: true when there may be more to read.
bool LogReader::onward() {
  const int now = age();
  if (now == 0) return false;
  if (!whole_) {  // it was renamed after its last write: read up to its end once more
    whole_ = true;
    return true;
  }
  return open(now < 0 ? kLogFiles - 1 : now - 1);
}

std::vector<std::string> LogReader::next(std::size_t limit) {
  std::vector<std::string> lines;
  std::string buffer(65536, '\0');
  std::size_t total = 0;
  if (!file_.valid() && !open(kLogFiles - 1)) return lines;
  while (total < limit) {
    auto got = streams::readSome(file_.get(), buffer.data(), buffer.size());
    if (!got || !got->has_value()) return lines;
    if (**got == 0) {
      if (!onward()) return lines;
      continue;
    }
    total += **got;
    rest_.append(buffer.data(), **got);
    std::size_t start = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', start)) {
      lines.push_back(rest_.substr(start, end - start));
      start = end + 1;
    }
    rest_.erase(0, start);
  }
  return lines;
}

std::vector<std::string> recentLines(LogReader& reader, model::Micros since, std::int64_t lines) {
  std::deque<std::string> kept;
  for (auto chunk = reader.next(); !chunk.empty(); chunk = reader.next()) {
    for (auto& line : chunk) {
      if (since > 0) {
        try {
          if (model::logLineFromJson(line).at < since) continue;
        } catch (const std::exception&) {  // a line cut by a full disk is no line
          continue;
        }
      }
      kept.push_back(std::move(line));
      if (lines >= 0 && kept.size() > static_cast<std::size_t>(lines)) kept.pop_front();
    }
  }
  return {std::make_move_iterator(kept.begin()), std::make_move_iterator(kept.end())};
}

}  // namespace cloister::node
