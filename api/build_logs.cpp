#include "api/build_logs.h"

#include <fcntl.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "sandbox/base/files.h"
#include "sandbox/base/identity.h"
#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

constexpr std::string_view kCut = "\n[the log is cut here: it has reached its size limit]\n";

void check(const std::string& build) {
  if (!validInstanceId(build)) throw std::runtime_error("build log: bad id");
}

}  // namespace

BuildLogs::BuildLogs(std::string directory, std::uint64_t limit) : directory_(std::move(directory)), limit_(limit) {
  if (const auto made = files::makeDirectories(directory_, 0750); !made) {
    throw std::runtime_error(made.error().message());
  }
}

void BuildLogs::append(const std::string& build, std::string_view chunk) {
  check(build);
  const std::scoped_lock lock(mutex_);
  std::error_code missing;
  const auto size = std::filesystem::file_size(path(build), missing);
  const std::uint64_t held = missing ? 0 : size;
  if (held >= limit_) return;
  auto fd = files::openAt(AT_FDCWD, path(build), O_WRONLY | O_CREAT | O_APPEND, files::Resolve::anywhere, 0640);
  if (!fd) throw std::runtime_error(fd.error().message());
  const bool cut = chunk.size() > limit_ - held;
  auto written = files::writeAll(fd->get(), utf8::cut(chunk, limit_ - held));
  if (written && cut) written = files::writeAll(fd->get(), kCut);
  if (!written) throw std::runtime_error(written.error().message());
}

std::string BuildLogs::read(const std::string& build, std::uint64_t offset, std::size_t most) const {
  check(build);
  std::ifstream in(path(build), std::ios::binary);
  if (!in) return {};
  in.seekg(static_cast<std::streamoff>(offset));
  std::string text(most, '\0');
  in.read(text.data(), static_cast<std::streamsize>(most));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

std::uint64_t BuildLogs::bytesOf(const std::vector<std::string>& builds) const {
  std::uint64_t sum = 0;
  for (const auto& build : builds) {
    std::error_code missing;
    const auto size = std::filesystem::file_size(path(build), missing);
    if (!missing) sum += size;
  }
  return sum;
}

void BuildLogs::keep(const std::vector<std::string>& builds, std::uint64_t most) {
  std::uint64_t sum = 0;
  for (const auto& build : builds) {
    std::error_code missing;
    const auto size = std::filesystem::file_size(path(build), missing);
    if (missing) continue;
    sum += size;
    if (sum > most) std::filesystem::remove(path(build), missing);
  }
}

void BuildLogs::dropOlderThan(std::int64_t seconds) {
  const auto oldest = std::filesystem::file_time_type::clock::now() - std::chrono::seconds(seconds);
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    std::error_code error;
    if (entry.path().extension() == ".log" && entry.last_write_time(error) < oldest && !error) {
      std::filesystem::remove(entry.path(), error);
    }
  }
}

void BuildLogs::dropUnless(const std::function<bool(const std::string& build)>& known) {
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (entry.path().extension() != ".log" || known(entry.path().stem().string())) continue;
    std::error_code error;
    std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace cloister::api
