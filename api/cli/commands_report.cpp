#include <Poco/JSON/Array.h>
#include <fmt/format.h>

#include <ostream>
#include <string_view>

#include "api/cli/commands.h"

namespace cloister::cli {
namespace {

struct ReportOptions {
  AppChoice app;
  std::string from;
  std::string to;
  std::string meter;
  std::string by = "app";
  std::string instance;
};

// A day alone is its first moment, UTC.
std::string moment(const std::string& text) {
  constexpr std::size_t kDay = std::string_view("2026-01-31").size();
  return text.size() == kDay ? text + "T00:00:00Z" : text;
}

// Of moments in UTC, as the API writes them: without the zone their texts sort as they do.
bool earlier(std::string_view left, std::string_view right) {
  return left.substr(0, left.find('Z')) < right.substr(0, right.find('Z'));
}

int usage(Context& context, const ReportOptions& options) {
  Query query = scoped(context);
  if (!options.from.empty()) query.emplace_back("from", moment(options.from));
  if (!options.to.empty()) query.emplace_back("to", moment(options.to));
  if (!options.app.name.empty()) query.emplace_back("app", options.app.name);
  if (!options.meter.empty()) query.emplace_back("meter", options.meter);
  if (!options.instance.empty()) query.emplace_back("instance", options.instance);
  const bool byInstance = options.by == "instance";
  if (byInstance) query.emplace_back("by", options.by);
  if (context.format == Format::json) return showList(context, "/v1/usage", query, {});

  std::vector<Column> columns{
      {"APP", ""}, {"METER", ""}, {"USED", "", Unit::integer}, {"EXACT", "", Unit::integer}, {"UNIT", ""}};
  if (byInstance) columns.insert(columns.begin() + 1, {"INSTANCE", ""});
  Table table(columns);
  const Response response = context.api().send({.path = "/v1/usage", .query = query});
  const auto items = response.object()->getArray("items");
  std::string from;
  std::string to;
  for (unsigned i = 0; !items.isNull() && i < items->size(); ++i) {
    const Poco::JSON::Object& row = *items->getObject(i);
    const std::string quantity = text(row, "quantity");
    const std::string unit = text(row, "unit");
    double value = 0;
    try {
      value = std::stod(quantity);
    } catch (const std::exception&) {
      throw TransportError("usage: the server sent a quantity that is not a number");
    }
    std::vector<std::string> cells{cell(row, "app", Unit::text), cell(row, "meter", Unit::text),
                                   humanQuantity(value, unit), printable(quantity), printable(unit)};
    if (byInstance) cells.insert(cells.begin() + 1, cell(row, "instance", Unit::text));
    table.add(std::move(cells));
    const std::string begin = text(row, "from");
    const std::string end = text(row, "to");
    if (from.empty() || earlier(begin, from)) from = begin;
    if (to.empty() || earlier(to, end)) to = end;
  }
  if (!from.empty()) context.streams.err << printable(humanTime(from) + " to " + humanTime(to) + " UTC") << '\n';
  table.print(context.streams.out);
  return 0;
}

int gaps(Context& context, const ReportOptions& options) {
  Query query = scoped(context);
  if (!options.from.empty()) query.emplace_back("from", moment(options.from));
  if (!options.to.empty()) query.emplace_back("to", moment(options.to));
  return showList(context, "/v1/usage/gaps", query,
                  {{"TENANT", "tenant"},
                   {"FROM", "from", Unit::time},
                   {"TO", "to", Unit::time},
                   {"MISSING MS", "milliseconds", Unit::integer},
                   {"APP", "app"},
                   {"INSTANCE", "instance"},
                   {"NODE", "node"},
                   {"REASON", "reason"}});
}

int quotas(Context& context) {
  const Response response = context.api().send({.path = "/v1/quotas", .query = scoped(context)});
  if (context.format == Format::json) return showDone(context, response, {});
  Table table({{"QUOTA", ""}, {"USED", "", Unit::integer}, {"LIMIT", "", Unit::integer}});
  const auto items = response.object()->getArray("items");
  for (unsigned i = 0; !items.isNull() && i < items->size(); ++i) {
    const Poco::JSON::Object& row = *items->getObject(i);
    const auto unit = text(row, "unit") == "bytes" ? Unit::bytes : Unit::integer;
    table.add({cell(row, "name", Unit::text), cell(row, "used", unit), cell(row, "limit", unit)});
  }
  table.print(context.streams.out);
  return 0;
}

int posture(Context& context, const ReportOptions& options) {
  const bool all = options.app.name.empty();
  const Response response =
      all ? context.api().send({.path = "/v1/posture"})
          : context.api().send({.path = appPath(options.app, "/posture"), .query = scoped(context)});
  if (context.format == Format::json) return showDone(context, response, {});
  const auto object = response.object();
  if (!all) {
    printFields(context.streams.out,
                {{"APP", "app"},
                 {"CALL PROFILE", "calls.mode"},
                 {"CALLS OPEN", "calls.open", Unit::integer},
                 {"CALLS USED", "calls.used", Unit::integer},
                 {"CALLS OF ITS CLASS", "calls.class", Unit::integer},
                 {"CAPABILITIES", "capabilities", Unit::integer},
                 {"SOCKET FAMILIES", "socket_families", Unit::list}},
                *object);
    context.streams.out << '\n';
  }
  Table table({{"CHECK", "name"}, {"STATE", "state"}, {"NODE", "node"}, {"REASON", "reason"}});
  const auto checks = object->getArray("checks");
  for (unsigned i = 0; !checks.isNull() && i < checks->size(); ++i) table.add(*checks->getObject(i));
  table.print(context.streams.out);
  return 0;
}

}  // namespace

void addReportCommands(CLI::App& root, Context& context) {
  const auto options = std::make_shared<ReportOptions>();

  CLI::App* usageVerb = addVerb(root, "usage", "show what was used, by app and meter",
                                {"usage", "usage --from 2026-01-01 --to 2026-02-01", "usage --app shop --meter cpu",
                                 "usage --app shop --by instance"});
  usageVerb->add_option("--from", options->from, "first moment: a day, or RFC 3339 (default: the start of this month)");
  usageVerb->add_option("--to", options->to, "end, exclusive (default: now)");
  usageVerb->add_option("-a,--app", options->app.name, "only this app");
  usageVerb->add_option("--meter", options->meter, "only this meter");
  usageVerb->add_option("--by", options->by, "sums by app, or by app and instance (default: app)")
      ->check(CLI::IsMember({"app", "instance"}));
  usageVerb->add_option("--instance", options->instance, "only this instance, also one that is gone");
  onRun(*usageVerb, context, [&context, options] { return usage(context, *options); });
  addUsageVerbs(*usageVerb, context);
  CLI::App* gapsVerb = addVerb(*usageVerb, "gaps", "list the windows in which a reading is missing, and why",
                               {"usage gaps --tenant acme", "usage gaps --from 2026-01-01 --to 2026-02-01"});
  gapsVerb->add_option("--from", options->from, "first moment: a day, or RFC 3339 (default: the start of this month)");
  gapsVerb->add_option("--to", options->to, "end, exclusive (default: now)");
  onRun(*gapsVerb, context, [&context, options] { return gaps(context, *options); });

  CLI::App* audit = addVerb(root, "audit", "show who changed what", {"audit", "audit --tenant acme -o json"});
  onRun(*audit, context, [&context] {
    return showList(context, "/v1/audit", scoped(context),
                    {{"AT", "at", Unit::time},
                     {"ACTOR", "actor"},
                     {"TENANT", "tenant"},
                     {"ACTION", "action"},
                     {"SUBJECT", "subject"},
                     {"STATUS", "status", Unit::integer}});
  });

  CLI::App* quota = addVerb(root, "quota", "show what the tenant keeps in the control plane, and how much it may",
                            {"quota", "quota --tenant acme -o json"});
  onRun(*quota, context, [&context] { return quotas(context); });

  CLI::App* postureVerb =
      addVerb(root, "posture", "show which protections are in force on the nodes, or what an app reaches",
              {"posture", "posture shop", "posture -o json"});
  postureVerb->add_option("app", options->app.name,
                          "what this app reaches of the kernel, and the nodes that it runs on");
  onRun(*postureVerb, context, [&context, options] { return posture(context, *options); });
}

}  // namespace cloister::cli
