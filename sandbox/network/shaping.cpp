#include "sandbox/network/shaping.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "sandbox/network/addresses.h"
#include "sandbox/network/sysctl.h"

namespace cloister::network {
namespace {

constexpr std::uint16_t kReplace = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
constexpr std::uint32_t kTbfHandle = 1U << 16U;
constexpr std::uint32_t kIngressHandle = 0xffff0000U;
// A bucket takes one full GSO packet; above 64 Mbit/s it takes 8 ms.
constexpr std::uint64_t kSmallestBurst = 66'000;
constexpr std::uint64_t kLargest = 64U << 20U;

tcmsg trafficControl(int index, std::uint32_t parent, std::uint32_t handle) {
  tcmsg message{};
  message.tcm_family = AF_UNSPEC;
  message.tcm_ifindex = index;
  message.tcm_parent = parent;
  message.tcm_handle = handle;
  return message;
}

void addTokenBucket(Batch& batch, int index, std::uint64_t bitsPerSecond) {
  const std::uint64_t rate = std::max<std::uint64_t>(bitsPerSecond / 8, 1);
  const std::uint64_t burst = std::clamp(rate / 125, kSmallestBurst, kLargest);
  // At most 50 ms in the queue, and always a few packets.
  const std::uint64_t queue = std::clamp(burst + rate / 20, 2 * kSmallestBurst, 2 * kLargest);
  batch.begin(RTM_NEWQDISC, kReplace, "set the token bucket");
  batch.header(trafficControl(index, TC_H_ROOT, kTbfHandle));
  batch.text(TCA_KIND, "tbf");
  const auto options = batch.nest(TCA_OPTIONS);
  tc_tbf_qopt parameters{};
  parameters.rate.linklayer = TC_LINKLAYER_ETHERNET;
  parameters.rate.rate = static_cast<std::uint32_t>(std::min<std::uint64_t>(rate, ~0U));
  parameters.limit = static_cast<std::uint32_t>(queue);
  batch.put(TCA_TBF_PARMS, bytesOf(parameters));
  if (rate >= ~0U) batch.u64(TCA_TBF_RATE64, rate);
  batch.u32(TCA_TBF_BURST, static_cast<std::uint32_t>(burst));
  batch.close(options);
}

// The block's number in the namespace: other users of blocks count from 1.
std::uint32_t blockOf(TenantIndex tenant) {
  constexpr std::uint32_t kBlocks = 0x636c0000;
  return kBlocks + tenant;
}

enum class Then { pass, redirect };

// Handles are ours, in the order of matching: setting the rate again replaces a filter instead of adding one.
void addFilter(Batch& batch, TenantIndex tenant, std::uint32_t handle, const tc_u32_key& match, Then then, int target) {
  tcmsg filter = trafficControl(static_cast<int>(TCM_IFINDEX_MAGIC_BLOCK), blockOf(tenant), handle);
  filter.tcm_info = TC_H_MAKE(1U << 16U, htons(ETH_P_IP));
  batch.begin(RTM_NEWTFILTER, kReplace, "redirect uploads");
  batch.header(filter);
  batch.text(TCA_KIND, "u32");
  const auto options = batch.nest(TCA_OPTIONS);
  // tc_u32_sel by offsets: it ends in an array of keys without a size.
  std::string selector(sizeof(tc_u32_sel), '\0');
  selector[offsetof(tc_u32_sel, flags)] = TC_U32_TERMINAL;
  selector[offsetof(tc_u32_sel, nkeys)] = 1;
  batch.put(TCA_U32_SEL, selector + std::string(bytesOf(match)));
  if (then == Then::redirect) {
    const auto actions = batch.nest(TCA_U32_ACT);
    const auto action = batch.nest(1);
    batch.text(TCA_ACT_KIND, "mirred");
    const auto actionOptions = batch.nest(TCA_ACT_OPTIONS);
    tc_mirred redirect{};
    redirect.action = TC_ACT_STOLEN;
    redirect.eaction = TCA_EGRESS_REDIR;
    redirect.ifindex = static_cast<std::uint32_t>(target);
    batch.put(TCA_MIRRED_PARMS, bytesOf(redirect));
    batch.close(actionOptions);
    batch.close(action);
    batch.close(actions);
  }
  batch.close(options);
}

tc_u32_key destination(Ipv4 address, unsigned prefix) {
  constexpr int kDestinationOffset = 16;  // in the IPv4 header
  tc_u32_key key{};
  key.mask = prefix == 0 ? 0 : htonl(~Ipv4{0} << (32U - prefix));
  key.val = htonl(address) & key.mask;
  key.off = kDestinationOffset;
  return key;
}

// The device holds the block, so that it lives without ports too; nothing enters by the device itself.
void addFilters(Batch& batch, TenantIndex tenant, int target) {
  addUploadHook(batch, tenant, target);
  addFilter(batch, tenant, 0x80000800U, destination(gatewayOf(tenant), 32), Then::redirect, target);
  addFilter(batch, tenant, 0x80000801U, destination(subnetOf(tenant), 24), Then::pass, target);
  addFilter(batch, tenant, 0x80000802U, destination(0, 0), Then::redirect, target);
}

Status removeQdisc(Socket& route, TenantIndex tenant, int index, std::uint32_t parent, std::uint32_t handle) {
  Batch batch;
  batch.begin(RTM_DELQDISC, NLM_F_ACK, "remove the queue");
  batch.header(trafficControl(index, parent, handle));
  auto done = route.send(batch, bridgeName(tenant));
  if (done) return done;
  const int code = done.error().code;
  return code == ENOENT || code == EINVAL || code == ENODEV ? Status{} : done;
}

Status unshape(Socket& route, TenantIndex tenant, int bridge, const std::vector<int>& ports) {
  for (const int port : ports) {
    if (auto done = removeQdisc(route, tenant, port, TC_H_INGRESS, kIngressHandle); !done) return done;
  }
  if (auto done = removeLink(route, uploadName(tenant)); !done) return done;
  return removeQdisc(route, tenant, bridge, TC_H_ROOT, kTbfHandle);
}

// False for a queue that is not one of ours.
bool parseDrops(std::uint16_t type, std::string_view payload, int& device, std::uint32_t& drops) {
  tcmsg message{};
  if (type != RTM_NEWQDISC || payload.size() < sizeof message) return false;
  std::memcpy(&message, payload.data(), sizeof message);
  const Attributes attributes(payload.substr(sizeof message));
  if (message.tcm_handle != kTbfHandle || readText(attributes.find(TCA_KIND)) != "tbf") return false;
  const auto queue = Attributes(attributes.find(TCA_STATS2)).find(TCA_STATS_QUEUE);
  if (queue.size() < sizeof(gnet_stats_queue)) return false;
  gnet_stats_queue counts{};
  std::memcpy(&counts, queue.data(), sizeof counts);
  device = message.tcm_ifindex;
  drops = counts.drops;
  return true;
}

}  // namespace

Result<std::map<int, std::uint32_t>> readDrops(Socket& route) {
  std::map<int, std::uint32_t> all;
  Batch batch;
  batch.begin(RTM_GETQDISC, NLM_F_DUMP, "list the queues");
  batch.header(trafficControl(0, 0, 0));
  auto done = route.dump(batch, "", [&all](std::uint16_t type, std::string_view payload) {
    int device = 0;
    std::uint32_t drops = 0;
    if (parseDrops(type, payload, device, drops)) all[device] = drops;
  });
  // That queues came or went meanwhile makes no count wrong.
  if (!done && done.error().code != EAGAIN) return done.error();
  return all;
}

void addUploadHook(Batch& batch, TenantIndex tenant, int port) {
  batch.begin(RTM_NEWQDISC, kReplace, "add the upload hook");
  batch.header(trafficControl(port, TC_H_INGRESS, kIngressHandle));
  batch.text(TCA_KIND, "ingress");
  batch.u32(TCA_INGRESS_BLOCK, blockOf(tenant));
}

Status shape(Socket& route, TenantIndex tenant, int bridge, const std::vector<int>& ports,
             std::uint64_t bitsPerSecond) {
  auto upload = getLink(route, uploadName(tenant));
  if (!upload && upload.error().code != ENODEV) return upload.error();
  if (bitsPerSecond == 0) return upload ? unshape(route, tenant, bridge, ports) : Status{};

  Status done;
  const bool isNew = !upload;
  if (isNew) {
    Batch make;
    addShaper(make, tenant);
    done = route.send(make, uploadName(tenant));
    if (done) upload = getLink(route, uploadName(tenant));
    if (done && !upload) done = upload.error();
    if (done) done = quietLink(uploadName(tenant));
  }
  if (done) {
    Batch batch;
    addTokenBucket(batch, bridge, bitsPerSecond);
    addTokenBucket(batch, upload->index, bitsPerSecond);
    addUp(batch, upload->index);
    addFilters(batch, tenant, upload->index);
    for (const int port : ports) addUploadHook(batch, tenant, port);
    done = route.send(batch, bridgeName(tenant));
  }
  if (!done && isNew) (void)unshape(route, tenant, bridge, ports);
  return done;
}

}  // namespace cloister::network
