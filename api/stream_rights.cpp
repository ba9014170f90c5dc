#include "api/stream_rights.h"

#include <Poco/Net/StreamSocket.h>
#include <spdlog/spdlog.h>

#include <stdexcept>
#include <utility>

#include "api/streaming.h"
#include "controlplane/store/store.h"
#include "sandbox/base/streams.h"

namespace cloister::api {

StreamRights::Held::Held(StreamRights& rights, const Request& request, std::string app, Use use, UniqueFd connection)
    : rights_(rights),
      token_(request.caller ? request.caller->id : std::string()),
      tenant_(request.tenant ? request.tenant->id : std::string()),
      app_(std::move(app)),
      use_(use),
      connection_(std::move(connection)) {
  const std::scoped_lock lock(rights_.mutex_);
  rights_.held_.insert(this);
  rights_.joined_ = true;
}

StreamRights::Held::~Held() {
  const std::scoped_lock lock(rights_.mutex_);
  rights_.held_.erase(this);
}

std::string StreamRights::Held::why() const {
  return over_ ? why_ : std::string();
}

std::unique_ptr<StreamRights::Held> StreamRights::hold(Request& request, const std::string& app, Use use) {
  auto connection = streams::duplicate(socketOf(request).impl()->sockfd());
  if (!connection) throw std::runtime_error(connection.error().message());
  return std::make_unique<Held>(*this, request, app, use, std::move(*connection));
}

std::string StreamRights::judge(const Held& held) const {
  try {
    if (!held.token_.empty() && store_.tokens().get(held.token_).revoked) return "the token was revoked";
  } catch (const store::NotFound&) {
    return "the token was revoked";
  }
  if (!held.tenant_.empty()) {
    const auto tenant = store_.tenants().find(held.tenant_);
    if (!tenant || tenant->state == model::TenantState::deleting) return "the tenant was removed";
    if (held.use_ == Use::running && tenant->state != model::TenantState::active) return "the tenant was suspended";
  }
  if (!held.app_.empty() && store_.apps().removing(held.app_)) return "the app was removed";
  return {};
}

void StreamRights::sweep() {
  const std::scoped_lock lock(mutex_);
  const auto changes = store_.changes();
  const auto now = std::chrono::steady_clock::now();
  const bool look = std::exchange(joined_, false) || changes != seen_;
  seen_ = changes;
  for (Held* held : held_) {
    if (held->over_) {
      if (now - held->since_ >= kGrace) streams::cutOff(held->connection_.get());
      continue;
    }
    if (!look) continue;
    auto why = judge(*held);
    if (why.empty()) continue;
    held->why_ = std::move(why);
    held->since_ = now;
    held->over_ = true;
  }
}

}  // namespace cloister::api
