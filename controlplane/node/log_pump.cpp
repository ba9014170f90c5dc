#include "controlplane/node/log_pump.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "sandbox/base/utf8.h"

namespace cloister::node {
namespace {

constexpr std::size_t kChunk = 64UL * 1024;
constexpr int kRoundPause = 5;  // milliseconds between two chunks of one FIFO: 12.5 MiB/s at most
constexpr int kIdlePause = 500;
constexpr int kDrainRounds = 64;

}  // namespace

Split splitLines(std::string_view chunk, Unfinished unfinished) {
  Split split;
  while (split.taken < chunk.size()) {
    const std::string_view rest = chunk.substr(split.taken);
    const auto end = rest.substr(0, kLongestLine + 1).find('\n');
    if (end == std::string_view::npos && rest.size() > kLongestLine) {
      const auto part = utf8::cut(rest, kLongestLine);
      split.lines.push_back(printable(part).append(kGoesOn));
      split.taken += part.size();
      continue;
    }
    if (end == std::string_view::npos && unfinished == Unfinished::leave) break;
    std::string_view line = rest.substr(0, end);
    split.taken += line.size() + (end == std::string_view::npos ? 0 : 1);
    while (line.ends_with('\r')) line.remove_suffix(1);
    split.lines.push_back(printable(line));
  }
  return split;
}

Allowance::Allowance(std::uint64_t bytesPerSecond, Clock::time_point now)
    : rate_(bytesPerSecond), tokens_(bytesPerSecond * 2), last_(now) {}

bool Allowance::take(std::uint64_t bytes, Clock::time_point now) {
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - last_).count();
  const auto micros = static_cast<std::uint64_t>(std::clamp<std::int64_t>(passed, 0, 2'000'000));
  const std::uint64_t fresh = micros * rate_ / 1'000'000;
  if (fresh > 0) {
    tokens_ = std::min(tokens_ + fresh, rate_ * 2);
    last_ = now;
  }
  if (tokens_ < bytes) return false;
  tokens_ -= bytes;
  return true;
}

LogPump::Source::Source(UniqueFd out, UniqueFd err, std::shared_ptr<LogStore> into)
    : store(std::move(into)), allowance(kBytesPerSecond, Clock::now()) {
  channels[0].fifo = std::move(out);
  channels[0].name = "stdout";
  channels[1].fifo = std::move(err);
  channels[1].name = "stderr";
}

Result<std::unique_ptr<LogPump>> LogPump::start() {
  std::unique_ptr<LogPump> pump(new LogPump());
  auto poller = streams::Poller::make();
  if (!poller) return poller.error();
  pump->poller_ = std::move(poller).value();
  auto wakeup = streams::Wakeup::make();
  if (!wakeup) return wakeup.error();
  pump->wakeup_ = std::move(wakeup).value();
  if (auto done = pump->poller_.add(pump->wakeup_.fd(), 0, streams::Poller::Trigger::level); !done) return done.error();
  pump->thread_ = std::thread([raw = pump.get()] { raw->run(); });
  return pump;
}

LogPump::~LogPump() {
  stopping_ = true;
  wakeup_.signal();
  if (thread_.joinable()) thread_.join();
}

Status LogPump::add(const std::string& instance, UniqueFd out, UniqueFd err, std::shared_ptr<LogStore> store) {
  auto source = std::make_shared<Source>(std::move(out), std::move(err), std::move(store));
  const std::lock_guard lock(mutex_);
  source->token = nextToken_;
  nextToken_ += 2;
  byInstance_[instance] = source;
  byToken_[source->token] = source;
  // Edge-triggered: an unfinished line that stays in the FIFO must not keep waking us. Adding reports what is there.
  for (std::uint64_t i = 0; i < 2; ++i) {
    auto done = poller_.add(source->channels[i].fifo.get(), source->token + i, streams::Poller::Trigger::edge);
    if (!done) return done;
  }
  return {};
}

void LogPump::remove(const std::string& instance) {
  const std::lock_guard lock(mutex_);
  const auto found = byInstance_.find(instance);
  if (found == byInstance_.end()) return;
  for (const auto& channel : found->second->channels) poller_.remove(channel.fifo.get());
  byToken_.erase(found->second->token);
  byInstance_.erase(found);
}

std::shared_ptr<LogPump::Source> LogPump::find(std::uint64_t token) {
  const std::lock_guard lock(mutex_);
  const auto found = byToken_.find(token & ~std::uint64_t{1});
  return found == byToken_.end() ? nullptr : found->second;
}

void LogPump::keep(Source& source, const Channel& channel, Split& split, bool& stored) {
  stored = true;
  if (!source.allowance.take(split.taken, Clock::now())) {
    source.dropped += split.lines.size();
    return;
  }
  if (source.dropped > 0) {
    source.store->system(std::to_string(source.dropped) + " lines dropped: more than 2 MiB/s of output");
    source.dropped = 0;
  }
  if (auto done = source.store->append(channel.name, split.lines); !done) {
    spdlog::error("log of {}: {}", source.store->directory(), done.error().message());
    stored = false;
  }
}

LogPump::Rest LogPump::serve(Source& source, Channel& channel, const streams::Pipe& scratch, std::string& buffer,
                             Unfinished unfinished) {
  auto held = streams::peek(channel.fifo.get(), scratch, buffer.data(), buffer.size());
  if (!held) {
    spdlog::error("log of {}: {}", source.store->directory(), held.error().message());
    return Rest::nothing;
  }
  if (*held == 0) {
    channel.partialSince.reset();
    return Rest::nothing;
  }
  Split split = splitLines(std::string_view(buffer.data(), *held), unfinished);
  if (split.taken == 0) {
    if (!channel.partialSince) channel.partialSince = Clock::now();
    return Rest::nothing;
  }
  bool stored = false;
  keep(source, channel, split, stored);
  if (!stored) {
    channel.partialSince = Clock::now();  // tried again with the next look at unfinished lines
    return Rest::nothing;
  }
  for (std::size_t left = split.taken; left > 0;) {
    auto got = streams::readSome(channel.fifo.get(), buffer.data(), std::min(left, buffer.size()));
    if (!got || !got->has_value() || **got == 0) break;
    left -= **got;
  }
  channel.partialSince.reset();
  return Rest::more;
}

void LogPump::drain(const std::string& instance) {
  std::shared_ptr<Source> source;
  {
    const std::lock_guard lock(mutex_);
    const auto found = byInstance_.find(instance);
    if (found == byInstance_.end()) return;
    source = found->second;
  }
  auto scratch = streams::makePipe(streams::Blocking::no);
  if (!scratch) return;
  std::string buffer(kChunk, '\0');
  const std::lock_guard lock(source->mutex);
  for (auto& channel : source->channels) {
    for (int round = 0; round < kDrainRounds; ++round) {
      if (serve(*source, channel, scratch.value(), buffer, Unfinished::flush) == Rest::nothing) break;
    }
  }
  if (source->dropped > 0) {
    source->store->system(std::to_string(source->dropped) + " lines dropped: more than 2 MiB/s of output");
    source->dropped = 0;
  }
}

void LogPump::run() {
  auto scratch = streams::makePipe(streams::Blocking::no);
  if (!scratch) {
    spdlog::critical("log pump: {}", scratch.error().message());
    return;
  }
  std::string buffer(kChunk, '\0');
  std::set<std::uint64_t> ready;
  Clock::time_point looked = Clock::now();
  while (!stopping_) {
    auto tokens = poller_.wait(ready.empty() ? kIdlePause : kRoundPause);
    if (!tokens) {
      spdlog::critical("log pump: {}", tokens.error().message());
      return;
    }
    for (const auto token : *tokens) {
      if (token == 0) wakeup_.drain();
      if (token != 0) ready.insert(token);
    }
    const auto now = Clock::now();
    std::set<std::uint64_t> again;
    for (const auto token : ready) {
      const auto source = find(token);
      if (!source) continue;
      const std::lock_guard lock(source->mutex);
      if (serve(*source, source->channels[token & 1U], *scratch, buffer, Unfinished::leave) == Rest::more) {
        again.insert(token);
      }
    }
    ready = std::move(again);
    if (now - looked < std::chrono::milliseconds(kIdlePause)) continue;
    looked = now;
    std::vector<std::shared_ptr<Source>> sources;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [token, source] : byToken_) sources.push_back(source);
    }
    for (const auto& source : sources) {
      const std::lock_guard lock(source->mutex);
      for (std::uint64_t i = 0; i < 2; ++i) {
        auto& channel = source->channels[i];
        if (!channel.partialSince || now - *channel.partialSince < kPartialWait) continue;
        if (serve(*source, channel, *scratch, buffer, Unfinished::flush) == Rest::more) ready.insert(source->token + i);
      }
    }
  }
}

}  // namespace cloister::node
