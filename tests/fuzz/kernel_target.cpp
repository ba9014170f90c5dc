// What the kernel says, and a tenant has a part in: logs, control group files, netlink, a child's last words.
#include <linux/rtnetlink.h>

#include <cstdlib>
#include <string_view>

#include "metering/readings/cgroup_reader.h"
#include "policy/model/apparmor_template.h"
#include "sandbox/base/counters.h"
#include "sandbox/cgroups/control_files.h"
#include "sandbox/cgroups/group_names.h"
#include "sandbox/cgroups/layout.h"
#include "sandbox/launcher/child_report.h"
#include "sandbox/launcher/denials.h"
#include "sandbox/network/elements.h"
#include "sandbox/network/links.h"
#include "tests/fuzz/targets.h"

namespace cloister::fuzz {
namespace {

std::string_view textOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

int kernelLogRecord(const std::uint8_t* data, std::size_t size) {
  const auto denial = launcher::parseDenial(textOf(data, size));
  if (!denial) return 0;
  if (!validTenant(denial->tenant) || denial->operation.empty()) std::abort();
  for (const auto* text : {&denial->operation, &denial->target, &denial->program}) {
    if (text->size() > launcher::kMostDenialText) std::abort();
  }
  return 0;
}

int compiledAppArmor(const std::uint8_t* data, std::size_t size) {
  const std::string blob(textOf(data, size));
  const auto profile = policy::AppArmorTemplate::parse(blob, 1);
  if (!profile) return 0;
  const std::string own = profile->forTenant(7);
  if (own.size() != blob.size() || own.find("-t00007") == std::string::npos) std::abort();
  return 0;
}

int cgroupFile(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto text = textOf(data, size).substr(1);
  switch (data[0] % 7U) {
    case 0:
      (void)cgroups::parsePopulated(text);
      break;
    case 1: {
      TenantIndex tenant = 0;
      if (cgroups::parseTenantName(text, tenant) && !validTenant(tenant)) std::abort();
      break;
    }
    case 2:
      (void)cgroups::parseMountInfo(text);
      break;
    case 3:
      (void)metering::parseSingle(text);
      break;
    case 4:
      (void)metering::parseKey(text, "usage_usec");
      break;
    case 5:
      (void)metering::parseIoStat(text);
      break;
    default:
      (void)metering::parseBlkio(text);
  }
  return 0;
}

int netlinkMessage(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto payload = textOf(data, size).substr(1);
  switch (data[0] % 3U) {
    case 0:
      (void)network::parseElements(payload);
      break;
    case 1: {
      network::Link link;
      (void)network::parseLink(RTM_NEWLINK, payload, link);
      break;
    }
    default:
      (void)network::parseComment(payload);
  }
  return 0;
}

int execReport(const std::uint8_t* data, std::size_t size) {
  const Error error = launcher::reportedError(textOf(data, size));
  if (error.stage.size() > 31 || error.operation.size() > 47 || error.path.size() > 255) std::abort();
  return 0;
}

}  // namespace cloister::fuzz
