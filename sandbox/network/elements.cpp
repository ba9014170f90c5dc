#include "sandbox/network/elements.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cerrno>
#include <cstring>

namespace cloister::network {
namespace {

// Opens the message of one set; its element list ends with close().
class ElementList {
 public:
  ElementList(Batch& batch, Family family, Change change, const char* set) : batch_(batch) {
    const bool adds = change == Change::add;
    beginObject(batch, family, adds ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
                adds ? NLM_F_ACK | NLM_F_CREATE : NLM_F_ACK, adds ? "add elements" : "remove elements");
    batch.text(NFTA_SET_ELEM_LIST_TABLE, kTable);
    batch.text(NFTA_SET_ELEM_LIST_SET, set);
    list_ = batch.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  }
  void open(std::string_view key) {
    element_ = batch_.nest(NFTA_LIST_ELEM);
    const auto data = batch_.nest(NFTA_SET_ELEM_KEY);
    batch_.put(NFTA_DATA_VALUE, key);
    batch_.close(data);
  }
  void closeElement() { batch_.close(element_); }
  void close() { batch_.close(list_); }

 private:
  Batch& batch_;
  std::size_t list_ = 0;
  std::size_t element_ = 0;
};

void single(Batch& batch, Family family, Change change, const char* set, std::string_view key) {
  ElementList list(batch, family, change, set);
  list.open(key);
  list.closeElement();
  list.close();
}

void counted(Batch& batch, Family family, Change change, const char* set, TenantIndex tenant, const Counter& counter) {
  ElementList list(batch, family, change, set);
  list.open(bytesOf(tenant));
  if (change == Change::add) {
    const auto expression = batch.nest(NFTA_SET_ELEM_EXPR);
    batch.text(NFTA_EXPR_NAME, "counter");
    const auto data = batch.nest(NFTA_EXPR_DATA);
    batch.be64(NFTA_COUNTER_BYTES, counter.bytes);
    batch.be64(NFTA_COUNTER_PACKETS, counter.packets);
    batch.close(data);
    batch.close(expression);
  }
  list.closeElement();
  list.close();
}

void parseCounter(Attributes expression, Counter& counter) {
  if (readText(expression.find(NFTA_EXPR_NAME)) != "counter") return;
  const Attributes data(expression.find(NFTA_EXPR_DATA));
  (void)readBe64(data.find(NFTA_COUNTER_BYTES), counter.bytes);
  (void)readBe64(data.find(NFTA_COUNTER_PACKETS), counter.packets);
}

Element parseElement(Attributes attributes) {
  Element element;
  element.key = Attributes(attributes.find(NFTA_SET_ELEM_KEY)).find(NFTA_DATA_VALUE);
  const Attributes verdict(Attributes(attributes.find(NFTA_SET_ELEM_DATA)).find(NFTA_DATA_VERDICT));
  element.chain = readText(verdict.find(NFTA_VERDICT_CHAIN));
  parseCounter(Attributes(attributes.find(NFTA_SET_ELEM_EXPR)), element.counter);
  Attributes several(attributes.find(NFTA_SET_ELEM_EXPRESSIONS));
  std::uint16_t type = 0;
  std::string_view expression;
  while (several.next(type, expression)) parseCounter(Attributes(expression), element.counter);
  return element;
}

Result<std::vector<Element>> readSet(Socket& netfilter, const char* set, Family family = Family::inet) {
  constexpr int kTries = 8;
  Status done;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    std::vector<Element> elements;
    Batch request;
    beginObject(request, family, NFT_MSG_GETSETELEM, NLM_F_DUMP, "read elements");
    request.text(NFTA_SET_ELEM_LIST_TABLE, kTable);
    request.text(NFTA_SET_ELEM_LIST_SET, set);
    done = netfilter.dump(request, set, [&elements](std::uint16_t type, std::string_view payload) {
      if ((type & 0xffU) != NFT_MSG_NEWSETELEM) return;
      for (Element& element : parseElements(payload)) elements.push_back(std::move(element));
    });
    if (done) return elements;
    if (done.error().code != EAGAIN) break;
  }
  return done.error();
}

bool tenantOf(const Element& element, TenantIndex& tenant) {
  return readU32(element.key, tenant) && validTenant(tenant);
}

}  // namespace

void addRanges(Batch& batch, const char* set, const std::vector<Range>& ranges) {
  ElementList list(batch, Family::inet, Change::add, set);
  for (const Range& range : ranges) {
    list.open(wireOf(range.begin));
    list.closeElement();
    if (range.end == 0) continue;
    list.open(wireOf(range.end));
    batch.be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    list.closeElement();
  }
  list.close();
}

void addSource(Batch& batch, Change change, Ipv4 address, Ports ports) {
  const TenantIndex tenant = (address - subnetOf(0)) >> 8U;
  single(batch, Family::inet, change, kSources, paddedName(bridgeName(tenant)) + wireOf(address));
  if (ports == Ports::unsupported) return;
  const std::string mac = std::string(bytesOf(macOf(address))) + std::string(2, '\0');
  single(batch, Family::bridge, change, kPorts, paddedName(hostLinkName(address)) + mac + wireOf(address));
}

void addTenantElements(Batch& batch, Change change, TenantIndex tenant, const Traffic& traffic, Ports ports) {
  single(batch, Family::inet, change, kTenants, std::string(bytesOf(tenant)) + std::string(bytesOf(tenant)));
  counted(batch, Family::inet, change, kBytesSent, tenant, traffic.externalSent);
  counted(batch, Family::inet, change, kBytesReceived, tenant, traffic.externalReceived);
  if (ports == Ports::unsupported) return;
  counted(batch, Family::bridge, change, kBytesSent, tenant, traffic.internalSent);
  counted(batch, Family::bridge, change, kBytesReceived, tenant, traffic.internalReceived);
}

void addEgress(Batch& batch, Change change, TenantIndex tenant, launcher::Egress egress) {
  ElementList list(batch, Family::inet, change, kEgress);
  list.open(bytesOf(tenant));
  if (change == Change::add) {
    const char* chain = egress == launcher::Egress::internet ? kEgressInternet : kEgressNone;
    putVerdict(batch, NFTA_SET_ELEM_DATA, NFT_GOTO, chain);
  }
  list.closeElement();
  list.close();
}

void addForget(Batch& batch, const char* set, TenantIndex tenant) {
  single(batch, Family::inet, Change::remove, set, bytesOf(tenant));
}

std::vector<Element> parseElements(std::string_view payload) {
  std::vector<Element> elements;
  if (payload.size() < sizeof(nfgenmsg)) return elements;
  const Attributes message(payload.substr(sizeof(nfgenmsg)));
  Attributes list(message.find(NFTA_SET_ELEM_LIST_ELEMENTS));
  std::uint16_t type = 0;
  std::string_view element;
  while (list.next(type, element)) elements.push_back(parseElement(Attributes(element)));
  return elements;
}

std::string parseComment(std::string_view userdata) {
  if (userdata.size() < 2 || userdata[0] != '\0') return {};
  const auto length = static_cast<std::size_t>(static_cast<std::uint8_t>(userdata[1]));
  return length + 2 <= userdata.size() ? readText(userdata.substr(2, length)) : std::string();
}

Result<std::optional<std::string>> readVersion(Socket& netfilter, Family family) {
  Batch request;
  beginObject(request, family, NFT_MSG_GETTABLE, NLM_F_ACK, "find the table");
  request.text(NFTA_TABLE_NAME, kTable);
  std::string comment;
  auto done = netfilter.send(request, kTable, [&comment](std::uint16_t type, std::string_view payload) {
    if ((type & 0xffU) != NFT_MSG_NEWTABLE || payload.size() < sizeof(nfgenmsg)) return;
    comment = parseComment(Attributes(payload.substr(sizeof(nfgenmsg))).find(NFTA_TABLE_USERDATA));
  });
  if (done) return std::optional<std::string>(comment);
  if (done.error().code == ENOENT) return std::optional<std::string>();
  return done.error();
}

Result<std::vector<Ipv4>> readSources(Socket& netfilter) {
  auto elements = readSet(netfilter, kSources);
  if (!elements) return elements.error();
  std::vector<Ipv4> addresses;
  for (const Element& element : elements.value()) {
    const TenantIndex tenant = tenantOfBridge(readText(element.key));
    std::uint32_t address = 0;
    if (element.key.size() < 20 || !readBe32(element.key.substr(16), address)) continue;
    if (tenant != 0 && ownsAddress(tenant, address)) addresses.push_back(address);
  }
  return addresses;
}

Result<std::map<TenantIndex, launcher::Egress>> readEgress(Socket& netfilter) {
  auto elements = readSet(netfilter, kEgress);
  if (!elements) return elements.error();
  std::map<TenantIndex, launcher::Egress> found;
  for (const Element& element : elements.value()) {
    TenantIndex tenant = 0;
    if (!tenantOf(element, tenant)) continue;
    found[tenant] = element.chain == kEgressInternet ? launcher::Egress::internet : launcher::Egress::none;
  }
  return found;
}

Result<std::map<TenantIndex, Counter>> readCounters(Socket& netfilter, Family family, const char* set) {
  auto elements = readSet(netfilter, set, family);
  if (!elements) return elements.error();
  std::map<TenantIndex, Counter> found;
  for (const Element& element : elements.value()) {
    TenantIndex tenant = 0;
    if (tenantOf(element, tenant)) found[tenant] = element.counter;
  }
  return found;
}

}  // namespace cloister::network
