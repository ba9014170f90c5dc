#include "controlplane/node/process_session.h"

#include <spdlog/spdlog.h>

#include <array>
#include <charconv>
#include <chrono>
#include <thread>

#include "controlplane/node/instance_directory.h"
#include "sandbox/base/files.h"

namespace cloister::node {
namespace {

constexpr std::size_t kPiece = 32UL * 1024;
constexpr std::size_t kMaxPending = 1UL << 20U;
constexpr int kLastPieces = 256;
constexpr std::chrono::seconds kStatusWait{2};
constexpr int kUnknownExit = 255;
constexpr char kEndOfInput = '\x04';

}  // namespace

Result<ProcessSession> ProcessSession::make(Tty tty, Resize size, const std::string& statusFile) {
  ProcessSession session;
  session.tty_ = tty;
  session.statusFile_ = statusFile;
  auto status = streams::createFile(statusFile, 0600);
  if (!status) return status.error();
  session.status_ = std::move(status).value();
  if (tty == Tty::yes) {
    auto terminal = streams::openTerminal(size.rows, size.columns);
    if (!terminal) return terminal.error();
    session.leader_ = std::move(terminal->leader);
    session.theirInput_ = std::move(terminal->follower);
    return session;
  }
  std::array<UniqueFd*, 3> ours{&session.input_, &session.output_, &session.errors_};
  std::array<UniqueFd*, 3> theirs{&session.theirInput_, &session.theirOutput_, &session.theirErrors_};
  for (std::size_t i = 0; i < 3; ++i) {
    auto pipe = streams::makePipe(streams::Blocking::yes);
    if (!pipe) return pipe.error();
    *ours[i] = i == 0 ? std::move(pipe->writer) : std::move(pipe->reader);
    *theirs[i] = i == 0 ? std::move(pipe->reader) : std::move(pipe->writer);
    if (auto done = streams::setNonBlocking(ours[i]->get()); !done) return done.error();
  }
  return session;
}

sandbox::Standard ProcessSession::standard() const {
  const int in = theirInput_.get();
  if (tty_ == Tty::yes) return {in, in, in, status_.get(), -1};
  return {in, theirOutput_.get(), theirErrors_.get(), status_.get(), -1};
}

void ProcessSession::begun() {
  theirInput_.reset();
  theirOutput_.reset();
  theirErrors_.reset();
  status_.reset();
}

void ProcessSession::take(const Frame& frame) {
  switch (frame.kind) {
    case Frame::Kind::input:
      if (!inputClosed_ && pending_.size() < kMaxPending) pending_ += frame.data;
      break;
    case Frame::Kind::resize:
      if (leader_.valid()) {
        auto done = streams::resizeTerminal(leader_.get(), frame.size.rows, frame.size.columns);
        if (!done) spdlog::debug("{}", done.error().message());
      }
      break;
    case Frame::Kind::inputClosed:
      inputClosed_ = true;
      if (tty_ == Tty::yes) pending_ += kEndOfInput;
      break;
    case Frame::Kind::none:
    case Frame::Kind::closed:
      break;
  }
}

void ProcessSession::writePending() {
  const int into = tty_ == Tty::yes ? leader_.get() : input_.get();
  if (!pending_.empty() && into >= 0) {
    auto put = streams::writeSome(into, pending_);
    if (!put) {  // nobody reads it any more
      pending_.clear();
      inputClosed_ = true;
    } else if (put->has_value()) {
      pending_.erase(0, **put);
    }
  }
  if (inputClosed_ && pending_.empty()) input_.reset();
}

bool ProcessSession::forward(UniqueFd& from, Channel to, SessionChannel& channel) {
  std::array<char, kPiece> buffer{};
  auto got = streams::readSome(from.get(), buffer.data(), buffer.size());
  if (got && !got->has_value()) return true;
  if (!got || **got == 0) {
    from.reset();
    return false;
  }
  channel.send(to, std::string_view(buffer.data(), **got));
  return true;
}

int ProcessSession::exitCode() const {
  // The end of a process is seen before its parent has written it down.
  const auto until = std::chrono::steady_clock::now() + kStatusWait;
  std::string status;
  for (;;) {
    if (auto text = files::read(statusFile_, kMostStatusBytes)) status = parseStatus(text.value());
    if (!status.empty() || std::chrono::steady_clock::now() >= until) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto space = status.find(' ');
  if (space == std::string::npos) return kUnknownExit;
  int code = kUnknownExit;
  std::from_chars(status.data() + space + 1, status.data() + status.size(), code);
  return status.starts_with("signal") ? 128 + code : code;
}

std::optional<int> ProcessSession::run(SessionChannel& channel, int pidfd) {
  while (channel.open()) {
    UniqueFd& out = tty_ == Tty::yes ? leader_ : output_;
    const bool writes = !pending_.empty();
    std::array<streams::Watched, 5> watched{{
        {pending_.size() < kMaxPending ? channel.fd() : -1},
        {pidfd},
        {out.get()},
        {errors_.get()},
        {writes ? (tty_ == Tty::yes ? leader_.get() : input_.get()) : -1, streams::Want::output},
    }};
    auto waited = streams::waitAny(watched, channel.buffered() ? 0 : 1000);
    if (!waited) spdlog::warn("{}", waited.error().message());
    if (watched[0].readable || channel.buffered()) take(channel.receive());
    writePending();
    // Asked before reading: what was written before the end is then in the pipes.
    const bool over = streams::ended(pidfd);
    for (auto* from : {&out, &errors_}) {
      for (int piece = 0; from->valid() && piece < (over ? kLastPieces : 1); ++piece) {
        std::array<streams::Watched, 1> now{{{from->get()}}};
        if (auto looked = streams::waitAny(now, 0); !looked || !now[0].readable) break;
        if (!forward(*from, from == &out ? Channel::output : Channel::errors, channel)) break;
      }
    }
    if (over) return exitCode();
  }
  return std::nullopt;
}

}  // namespace cloister::node
