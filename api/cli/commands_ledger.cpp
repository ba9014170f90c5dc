#include <Poco/JSON/Array.h>
#include <Poco/JSON/Parser.h>
#include <fmt/format.h>

#include <ostream>

#include "api/cli/commands.h"

namespace cloister::cli {
namespace {

const std::vector<Column> kHead{{"TENANT", "tenant"},
                                {"TENANT ID", "tenant_id"},
                                {"ROWS", "rows", Unit::integer},
                                {"LAST", "recorded_at", Unit::time},
                                {"HASH", "hash"}};

int head(Context& context, bool all) {
  if (all) return showList(context, "/v1/ledger/heads", {}, kHead);
  auto fields = kHead;
  fields.push_back({"SIGNATURE", "signature"});
  return showObject(context, context.api().send({.path = "/v1/ledger/head", .query = scoped(context)}), fields);
}

// A line for each chain as it is done; those that do not hold, and how far a long one is, to the error stream.
int verify(Context& context) {
  Poco::JSON::Array::Ptr chains = new Poco::JSON::Array;
  Poco::JSON::Object::Ptr done;
  const auto end = context.api().events(
      {.path = "/v1/ledger/verification", .query = scoped(context)}, {}, [&](const ServerEvent& event) {
        const auto data = Response{.status = 200, .body = event.data}.object();
        const auto tenant = printable(text(*data, "tenant"));
        if (event.event == "done") {
          done = data;
          return Flow::stop;
        }
        if (event.event == "progress") {
          context.streams.err << fmt::format("{}: {} rows so far\n", tenant, printable(text(*data, "rows")));
        } else if (event.event == "chain") {
          chains->add(data);
          if (data->optValue("whole", false)) {
            if (context.format == Format::table)
              context.streams.out << fmt::format("{}: holds: {} rows\n", tenant, printable(text(*data, "rows")));
          } else {
            context.streams.err << fmt::format("cloister: {}: row {}: {}\n", tenant, printable(text(*data, "bad_row")),
                                               printable(text(*data, "reason")));
          }
        }
        return Flow::next;
      });
  if (end != StreamEnd::stopped || done.isNull())
    throw TransportError("ledger verify: the server ended before all chains were verified");
  if (context.format == Format::json) {
    done->set("items", chains);
    context.streams.out << json(*done) << '\n';
  } else {
    context.streams.out << fmt::format("{} chains, {} rows, {} broken\n", printable(text(*done, "chains")),
                                       printable(text(*done, "rows")), printable(text(*done, "broken")));
  }
  return text(*done, "broken") == "0" ? 0 : 1;
}

}  // namespace

void addLedgerCommands(CLI::App& root, Context& context) {
  CLI::App* noun = root.add_subcommand("ledger", "the record of usage: its signed heads, and whether it is whole");
  noun->require_subcommand(1);
  const auto all = std::make_shared<bool>(false);
  CLI::App* verb = addVerb(*noun, "head", "show the end of a tenant's hash chain, signed: keep it for usage verify",
                           {"ledger head -o json >head-2026-11-27.json", "ledger head --all"});
  verb->add_flag("--all", *all, "of all chains, for a provider");
  onRun(*verb, context, [&context, all] { return head(context, *all); });
  verb = addVerb(*noun, "verify", "recompute the hash chains on the server: all, or a tenant's",
                 {"ledger verify", "ledger verify --tenant acme"});
  onRun(*verb, context, [&context] { return verify(context); });
  verb = addVerb(*noun, "anomalies", "list batches of usage that were refused, and why",
                 {"ledger anomalies", "ledger anomalies -o json"});
  onRun(*verb, context, [&context] {
    return showList(context, "/v1/ledger/anomalies", {},
                    {{"AT", "at", Unit::time},
                     {"NODE", "node"},
                     {"SEQUENCE", "sequence", Unit::integer},
                     {"RECORDED", "recorded_digest"},
                     {"REFUSED", "refused_digest"},
                     {"REASON", "reason"}});
  });
}

}  // namespace cloister::cli
