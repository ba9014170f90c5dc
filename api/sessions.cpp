#include "api/sessions.h"

#include <Poco/Net/WebSocket.h>

namespace cloister::api {

Sessions::Sessions(std::function<void()> announce) : announce_(std::move(announce)) {}

Sessions::~Sessions() = default;

std::unique_ptr<Poco::Net::WebSocket> Sessions::Waiting::await(std::chrono::steady_clock::time_point until) {
  return sessions_.await(id_, until);
}

std::unique_ptr<Sessions::Waiting> Sessions::open(const model::Session& session, const std::string& nodeId) {
  {
    const std::scoped_lock lock(mutex_);
    entries_[session.id] = Entry{session, nodeId, false, nullptr};
  }
  auto waiting = std::make_unique<Waiting>(*this, session.id);
  announce_();
  return waiting;
}

std::vector<model::Session> Sessions::waiting(const std::string& nodeId) const {
  std::vector<model::Session> out;
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, entry] : entries_) {
    if (entry.nodeId == nodeId && !entry.claimed) out.push_back(entry.session);
  }
  return out;
}

bool Sessions::join(const std::string& id, const std::function<std::unique_ptr<Poco::Net::WebSocket>()>& upgrade) {
  {
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.claimed) return false;
    found->second.claimed = true;
  }
  auto socket = upgrade();
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(id);
  // A client that left meanwhile: the socket closes here, which the node sees.
  if (found != entries_.end()) found->second.node = std::move(socket);
  joined_.notify_all();
  return true;
}

std::unique_ptr<Poco::Net::WebSocket> Sessions::await(const std::string& id,
                                                      std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  auto& entry = entries_.at(id);
  joined_.wait_until(lock, until, [&] { return stopping_ || entry.node != nullptr; });
  return std::move(entry.node);
}

void Sessions::close(const std::string& id) {
  std::unique_ptr<Poco::Net::WebSocket> unused;
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  unused = std::move(found->second.node);
  entries_.erase(found);
}

void Sessions::stop() {
  const std::scoped_lock lock(mutex_);
  stopping_ = true;
  joined_.notify_all();
}

}  // namespace cloister::api
