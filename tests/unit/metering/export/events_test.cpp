#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <map>
#include <set>
#include <sstream>

#include "metering/export/documents.h"
#include "tests/unit/metering/export/exported_month.h"

namespace cloister::metering {
namespace {

struct Event {
  std::string id;
  std::string sequence;
  std::string quantity;
  std::string from;
  friend bool operator==(const Event&, const Event&) = default;
};
using Events = std::map<std::string, Event>;  // by subject

class EventsTest : public ExportedMonth {
 protected:
  static inline const Period kMarch = *parseMonth("2026-03");

  Events eventsOf(const Invoice& invoice) {
    const auto hours = billing_->hoursOf(invoice);
    EXPECT_TRUE(hours) << hours.error().message();
    std::string text;
    writeCloudEvents(invoice.tenantId, *hours, [&](std::string_view part) { text += part; });
    std::istringstream lines(text);
    Events events;
    for (std::string line; std::getline(lines, line);) {
      const auto event = Poco::JSON::Parser().parse(line).extract<Poco::JSON::Object::Ptr>();
      const auto field = [&](const char* name) { return event->getValue<std::string>(name); };
      const auto data = event->getObject("data");
      EXPECT_EQ(field("specversion"), "1.0");
      EXPECT_EQ(field("type"), "cloister.usage.hour.v1");
      const Event read{field("id"), field("sequence"), data->getValue<std::string>("quantity"),
                       data->getValue<std::string>("from")};
      EXPECT_TRUE(events.emplace(field("subject"), read).second) << "twice: " << field("subject");
    }
    return events;
  }
  Events marchNow() {
    const auto draft = billing_->draft(kTenant, "acme", kMarch);
    EXPECT_TRUE(draft) << draft.error().message();
    return eventsOf(*draft);
  }
  static std::string subject(const std::string& app, const std::string& meter, std::int64_t hour) {
    return std::string(kTenant) + '/' + app + '/' + meter + '/' + utcText(hour);
  }
  static std::uint64_t rowOf(const Event& event) { return std::stoull(event.sequence); }
  // What the ledger has of a month, by subject.
  std::map<std::string, std::string> metered(const Period& period, std::uint64_t lastRow) {
    std::map<std::string, std::string> quantities;
    const auto input = billing_->inputOf(kTenant, period, lastRow);
    EXPECT_TRUE(input);
    for (const auto& hour : input->usage)
      quantities[subject(hour.appId, meterName(hour.meter), hour.hour)] = decimal(hour.quantity);
    return quantities;
  }
};

TEST_F(EventsTest, AnHourKeepsItsIdInEveryExportUntilItChanges) {
  use(kMarch.from, kCoreHour / 7);
  const auto first = marchNow();
  ASSERT_EQ(first.size(), 2U);
  use(kMarch.from + kHour, kCoreHour / 7);
  const auto second = marchNow();
  ASSERT_EQ(second.size(), 4U);
  for (const auto& [name, event] : first) EXPECT_EQ(second.at(name), event) << name;

  use(kMarch.from, kCoreHour / 7);
  const auto third = marchNow();
  ASSERT_EQ(third.size(), 4U);
  const auto changed = subject("ap-1", "cpu", kMarch.from);
  EXPECT_NE(third.at(changed).id, first.at(changed).id);
  EXPECT_GT(third.at(changed).sequence, first.at(changed).sequence);
  EXPECT_EQ(third.at(changed).quantity, decimal(2 * (kCoreHour / 7)));
  const auto kept = subject("ap-1", "cpu", kMarch.from + kHour);
  EXPECT_EQ(third.at(kept), second.at(kept));

  ASSERT_TRUE(billing_->close(kMarch, {{kTenant, "acme"}}, kMarch.to));
  EXPECT_EQ(eventsOf(closed(kMarch)), third);
}

TEST_F(EventsTest, AnIdEndsWithTheLastRowOfItsHour) {
  const auto january = eventsOf(closed(kJanuary));
  EXPECT_EQ(january.size(), 20U);
  std::set<std::string> ids;
  for (const auto& [name, event] : january) {
    EXPECT_EQ(event.id, name + '/' + std::to_string(rowOf(event)));
    EXPECT_EQ(event.sequence.size(), 20U);
    ids.insert(event.id);
  }
  EXPECT_EQ(ids.size(), january.size());
  // The plan is row 1; four times an hour come three rows.
  EXPECT_EQ(rowOf(january.at(subject("ap-1", "cpu", kJanuary.from))), 11U);
  EXPECT_EQ(rowOf(january.at(subject("", "network_external_out", kJanuary.from))), 13U);
}

TEST_F(EventsTest, LateHoursComeWithTheInvoiceThatCorrectsThem) {
  auto newest = eventsOf(closed(kJanuary));
  const auto february = eventsOf(closed(kFebruary));
  std::set<std::string> late;
  for (const auto& [name, event] : february) {
    if (event.from < utcText(kFebruary.from)) late.insert(name);
    const auto before = newest.find(name);
    EXPECT_EQ(before != newest.end(), late.contains(name)) << name;
    if (before == newest.end()) {
      newest.emplace(name, event);
      continue;
    }
    EXPECT_GT(event.sequence, before->second.sequence);
    before->second = event;
  }
  const auto hour = kJanuary.from + 3 * kHour;
  EXPECT_EQ(late, (std::set{subject("ap-1", "cpu", hour), subject("", "network_external_out", hour)}));

  // Added up as the header says, the two exports are what the ledger has.
  const auto lastRow = closed(kFebruary).lastRow;
  auto all = metered(kJanuary, lastRow);
  all.merge(metered(kFebruary, lastRow));
  std::map<std::string, std::string> sums;
  for (const auto& [name, event] : newest) sums[name] = event.quantity;
  EXPECT_EQ(sums, all);
}

TEST_F(EventsTest, WhatAnInvoiceHasIsInNoLaterOne) {
  use(kMarch.from, kCoreHour);
  EXPECT_EQ(marchNow().size(), 2U);
  use(kFebruary.from, kCoreHour);
  use(kJanuary.from, kCoreHour);
  const auto march = marchNow();
  EXPECT_EQ(march.size(), 6U);
  // Nor does what comes later change what is closed.
  EXPECT_EQ(eventsOf(closed(kFebruary)).size(), 2 * 15U + 2U);
  EXPECT_EQ(eventsOf(closed(kJanuary)).size(), 20U);
}

TEST_F(EventsTest, LateHoursComeAlsoWhereTheirMonthHasNoInvoice) {
  const UsageBatch late{
      "nd-2", 1, "boot", {{"tn-2", "ap-2", "in-1", Meter::cpu, kCoreHour, kJanuary.from, kJanuary.from + kSecond, ""}}};
  ASSERT_TRUE(ledger_->append(late, kMarch.from));
  const auto draft = billing_->draft("tn-2", "late", kMarch);
  ASSERT_TRUE(draft) << draft.error().message();
  const auto events = eventsOf(*draft);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events.begin()->first, "tn-2/ap-2/cpu/2026-01-01T00:00:00Z");
}

}  // namespace
}  // namespace cloister::metering
