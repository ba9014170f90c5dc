// Removal: kill, wait until nothing is left, release. See containers.h.
#include <unistd.h>

#include <cerrno>

#include "sandbox/launcher/containers.h"
#include "sandbox/launcher/emptying.h"
#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
Outcome Containers::remove(const std::string& instance) {
  if (auto good = check(RemoveRequest{instance}); !good) return answerOf(good);
  auto record = readRecord(instance);
  if (!record && record.error().code == ENOENT) return answerOf(forget(instance));
  if (!record) return answerOf(record.error());
  if (auto killed = parts_.groups->kill(record->tenant, instance); !killed && killed.error().code != ENOENT)
    return answerOf(killed);
  auto events = parts_.groups->openEvents(record->tenant, instance);
  if (!events && events.error().code != ENOENT) return answerOf(events.error());
  return empty(
      instance, events ? std::move(events).value() : UniqueFd(),
      [this, instance, tenant = record->tenant] { return parts_.groups->tryRemoveInstance(tenant, instance); },
      [this, instance, record = *record] { return release(instance, record); });
}

Status Containers::release(const std::string& instance, const Record& record) {
  if (record.address != 0) {
    if (auto done = parts_.network->unlink(record.tenant, record.address); !done) return done;
  }
  if (auto done = parts_.uppers->drop(instance); !done) return done;
  return forget(instance);
}

Status Containers::forget(const std::string& instance) {
  if (::unlink((parts_.records + "/" + instance).c_str()) == 0 || errno == ENOENT) return {};
  return errnoError("remove", "unlink", instance);
}

}  // namespace cloister::launcher
