#include <Poco/JSON/Array.h>
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <ostream>
#include <sstream>

#include "api/cli/commands.h"
#include "api/cli/price_list_file.h"
#include "metering/base/calendar.h"
#include "metering/export/focus_check.h"
#include "metering/export/verify.h"
#include "sandbox/base/identity.h"

namespace cloister::cli {
namespace {

struct BillingOptions {
  std::string file;
  std::string id;
  std::string period;
  std::string format;
  std::string focusVersion;
  std::string output;
  std::string key;
  std::vector<std::string> nodeKeys;
  std::string head;
  bool nodes = false;
  std::string amount;
  std::string text;
  std::string prices;
  bool hard = false;
};
using Options = std::shared_ptr<BillingOptions>;

const std::vector<Column> kInvoiceLines{{"WHAT", "description"},
                                        {"APP", "app"},
                                        {"QUANTITY", "pricing_quantity", Unit::integer},
                                        {"UNIT", "unit"},
                                        {"COST", "cost", Unit::integer}};

// This month, when none was said.
std::string periodOf(const BillingOptions& options) {
  if (!options.period.empty()) return options.period;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return metering::monthText(metering::monthOf(std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

void put(Context& context, const std::string& text, const std::string& path) {
  if (path.empty()) {
    context.streams.out << text;
    return;
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) throw std::runtime_error(path + ": cannot be written");
}

void printLines(std::ostream& out, const Poco::JSON::Object& invoice, const std::string& remark) {
  Table table(kInvoiceLines);
  const auto lines = invoice.getArray("lines");
  for (unsigned i = 0; !lines.isNull() && i < lines->size(); ++i) table.add(*lines->getObject(i));
  table.print(out);
  out << fmt::format("\nTOTAL {} {}{}\n", printable(text(invoice, "total")), printable(text(invoice, "currency")),
                     remark);
}

int showInvoice(Context& context, const std::string& path, const BillingOptions& options, Query query) {
  if (!options.focusVersion.empty()) {
    if (options.format != "focus") throw UsageError("--focus-version: goes with -f focus alone");
    query.emplace_back("focus_version", options.focusVersion);
  }
  if (!options.format.empty() && options.format != "json") {
    query.emplace_back("format", options.format);
    put(context, context.api().send({.path = path, .query = query}).body, options.output);
    return 0;
  }
  const Response response = context.api().send({.path = path, .query = query});
  if (context.format == Format::json || options.format == "json") {
    put(context, response.body + '\n', options.output);
    return 0;
  }
  const auto invoice = response.object();
  std::ostringstream table;
  printFields(table, {{"INVOICE", "id"}, {"TENANT", "tenant"}, {"MONTH", "period"}, {"STATE", "state"}}, *invoice);
  table << '\n';
  printLines(table, *invoice, "");
  put(context, table.str(), options.output);
  return 0;
}

int dryRun(Context& context, const BillingOptions& options) {
  const std::string path = "/v1/periods/" + segment(periodOf(options)) + "/rating";
  const Response response = context.api().send(
      {.method = "POST", .path = path, .query = scoped(context), .body = priceListIn(options.prices)});
  if (context.format == Format::json) return showDone(context, response, {});
  printLines(context.streams.out, *response.object(), " (a dry run: nothing was changed)");
  return 0;
}

// The key as digits, which are those of a digest, or a file that holds them.
std::string keyIn(const std::string& option) {
  if (validDigest(option)) return option;
  std::string text = contentsOf(option);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

// Keys as digits, or files with any number of them among other words, such as `usage key --nodes` writes.
std::vector<std::string> nodeKeysIn(const std::vector<std::string>& options) {
  std::vector<std::string> keys;
  for (const auto& option : options) {
    std::istringstream words(validDigest(option) ? option : contentsOf(option));
    const auto before = keys.size();
    for (std::string word; words >> word;) {
      if (validDigest(word)) keys.push_back(word);
    }
    if (keys.size() == before) throw std::runtime_error(option + ": has no key");
  }
  return keys;
}

// Who vouches for the rows: a tenant is to see what no host has signed.
std::string sealsText(const metering::SealCounts& seals) {
  std::string text =
      fmt::format("rows under the hosts' own seals: {}; not: {} of the last hour, {} of the control plane",
                  seals.sealed, seals.open, seals.own);
  if (seals.bare > 0) text += fmt::format(", {} others (the first is row {})", seals.bare, seals.firstBare);
  if (seals.untrusted > 0) text += fmt::format("; {} seals are of keys that are not trusted here", seals.untrusted);
  return text;
}

std::optional<metering::PublishedHead> headIn(const std::string& path) {
  if (path.empty()) return std::nullopt;
  auto head = metering::headFromJson(contentsOf(path));
  if (!head) throw std::runtime_error(fmt::format("{}: {} {}", path, head.error().path, head.error().operation));
  return std::move(head).value();
}

int verify(Context& context, const BillingOptions& options) {
  std::ifstream file(options.file, std::ios::binary);
  if (!file) throw std::runtime_error(options.file + ": cannot be read");
  // A file that ends without a line feed was cut: its last line is none.
  const auto next = [&file](std::string& line) { return static_cast<bool>(std::getline(file, line)) && !file.eof(); };
  const auto report =
      metering::verifyStatement(next, keyIn(options.key), nodeKeysIn(options.nodeKeys), headIn(options.head));
  if (!report.holds()) {
    context.streams.err << fmt::format("cloister: {}: {}\n", printable(options.file), printable(report.finding));
    return 1;
  }
  context.streams.out << fmt::format("{}: holds: {} rows, invoice {}, {} {}\n", printable(options.file), report.rows,
                                     printable(report.invoice->id), metering::moneyText(report.invoice->total),
                                     printable(report.invoice->currency));
  context.streams.out << sealsText(report.seals) << '\n';
  return 0;
}

int checkFocusFile(Context& context, const BillingOptions& options) {
  const auto version = metering::parseFocusVersion(options.focusVersion).value_or(metering::FocusVersion::v12);
  const auto report = metering::checkFocus(contentsOf(options.file), version);
  for (const auto& finding : report.findings)
    context.streams.err << fmt::format("cloister: {}: {}\n", printable(options.file), printable(finding));
  if (!report.conforms()) return 1;
  context.streams.out << fmt::format("{}: conforms to FOCUS {}: {} rows\n", printable(options.file),
                                     metering::focusVersionText(version), report.rows);
  for (const auto& [invoice, billed] : report.billed)
    context.streams.out << fmt::format("{}: BilledCost {}\n", printable(invoice), metering::moneyText(billed));
  return 0;
}

void addFocusVersion(CLI::App& verb, const Options& options, const std::string& help) {
  verb.add_option("--focus-version", options->focusVersion, help)->check(CLI::IsMember({"1.2", "1.3"}));
}

void addFormat(CLI::App& verb, const Options& options, const std::vector<std::string>& formats) {
  verb.add_option("-f,--format", options->format, "what to write instead of a table")->check(CLI::IsMember(formats));
  addFocusVersion(verb, options, "with -f focus, the version of FOCUS to write (default: 1.2)");
  verb.add_option("-O,--output-file", options->output, "the file to write to (default: standard output)");
}

void addInvoices(CLI::App& root, Context& context, const Options& options) {
  CLI::App* noun =
      addVerb(root, "invoice", "list the invoices of a tenant; see also its verbs", {"invoice", "invoice ls -o json"});
  const auto list = [&context] {
    return showList(context, "/v1/invoices", scoped(context),
                    {{"INVOICE", "id"},
                     {"TENANT", "tenant"},
                     {"FROM", "from", Unit::time},
                     {"TO", "to", Unit::time},
                     {"TOTAL", "total", Unit::integer},
                     {"CURRENCY", "currency"}});
  };
  onRun(*noun, context, list);
  onRun(*addVerb(*noun, "ls", "list the invoices", {"invoice ls --tenant acme"}), context, list);

  const std::vector<std::string> formats = {"json", "csv", "html", "focus", "events", "statement"};
  CLI::App* verb = addVerb(*noun, "show", "show an invoice, or write it as a file",
                           {"invoice show inv-tn-1-2026-11", "invoice show inv-tn-1-2026-11 -f html -O invoice.html"});
  verb->add_option("id", options->id, "the invoice")->required();
  addFormat(*verb, options, formats);
  onRun(*verb, context, [&context, options] {
    return showInvoice(context, "/v1/invoices/" + segment(options->id), *options, scoped(context));
  });

  verb = addVerb(*noun, "preview", "show a month as it stands: its invoice, or a draft of it",
                 {"invoice preview", "invoice preview --period 2026-11"});
  verb->add_option("--period", options->period, "the month (default: this one)");
  addFormat(*verb, options, formats);
  onRun(*verb, context, [&context, options] {
    return showInvoice(context, "/v1/periods/" + segment(periodOf(*options)) + "/invoice", *options, scoped(context));
  });

  verb = addVerb(*noun, "rate", "show what a month would cost with another price list; changes nothing",
                 {"invoice rate --prices next-year.toml --period 2026-11 --tenant acme"});
  verb->add_option("--prices", options->prices, "the price list, as TOML or JSON")->required();
  verb->add_option("--period", options->period, "the month (default: this one)");
  onRun(*verb, context, [&context, options] { return dryRun(context, *options); });

  verb = addVerb(*noun, "close",
                 "make the invoices of a month that is over, of all tenants; months close in order, for good",
                 {"invoice close 2026-10"});
  verb->add_option("period", options->period, "the month")->required();
  onRun(*verb, context, [&context, options] {
    const Response response =
        context.api().send({.method = "POST", .path = "/v1/periods/" + segment(options->period) + "/close"});
    const auto closing = response.object();
    return showDone(context, response,
                    fmt::format("closed {}: {} invoices, {} were there", options->period, text(*closing, "closed"),
                                text(*closing, "present")));
  });
}

void addAccounts(CLI::App& root, Context& context, const Options& options) {
  CLI::App* noun = root.add_subcommand("credit", "credits: amounts that the next invoices are lowered by");
  noun->require_subcommand(1);
  CLI::App* verb = addVerb(*noun, "add", "give a tenant a credit", {"credit add 10 \"outage in May\" --tenant acme"});
  verb->add_option("amount", options->amount, "how much, in the book's currency")->required();
  verb->add_option("text", options->text, "what for; it is on the invoice")->required();
  onRun(*verb, context, [&context, options] {
    Poco::JSON::Object body;
    body.set("amount", options->amount);
    body.set("text", options->text);
    const Response response = context.api().send(
        {.method = "POST", .path = "/v1/credits", .query = scoped(context), .body = requestBody(body)});
    return showDone(context, response, "given: " + text(*response.object(), "id"));
  });
  verb = addVerb(*noun, "ls", "list the credits", {"credit ls --tenant acme"});
  onRun(*verb, context, [&context] {
    return showList(context, "/v1/credits", scoped(context),
                    {{"CREDIT", "id"},
                     {"TEXT", "text"},
                     {"AMOUNT", "amount", Unit::integer},
                     {"LEFT", "remaining", Unit::integer},
                     {"GIVEN", "created_at", Unit::time},
                     {"REVOKED", "revoked_at", Unit::time}});
  });
  verb = addVerb(*noun, "revoke", "take back a credit that no invoice was lowered by yet", {"credit revoke cr-1a2b3c"});
  verb->add_option("id", options->id, "the credit")->required();
  onRun(*verb, context, [&context, options] {
    return showDone(context, context.api().send({.method = "DELETE", .path = "/v1/credits/" + segment(options->id)}),
                    "revoked: " + options->id);
  });

  noun = root.add_subcommand("budget",
                             "budgets of a month, the provider's and the tenant's own: who is told, and what stops");
  noun->require_subcommand(1);
  const std::vector<Column> fields{{"SET BY", "set_by"},     {"AMOUNT", "amount", Unit::integer},
                                   {"CAP", "cap"},           {"SPENT", "spent", Unit::integer},
                                   {"CURRENCY", "currency"}, {"PROBLEM", "failure.detail"}};
  verb =
      addVerb(*noun, "set", "set one's own, or as the provider its for a tenant; events tell at 50, 75, 90 and 100 %",
              {"budget set 50", "budget set 50 --hard --tenant acme"});
  verb->add_option("amount", options->amount, "a month's amount, tax included")->required();
  verb->add_flag("--hard", options->hard, "suspend the tenant at 100 %");
  onRun(*verb, context, [&context, options, fields] {
    Poco::JSON::Object body;
    body.set("amount", options->amount);
    body.set("cap", std::string(options->hard ? "hard" : "soft"));
    return showObject(context,
                      context.api().send(
                          {.method = "PUT", .path = "/v1/budget", .query = scoped(context), .body = requestBody(body)}),
                      fields);
  });
  verb = addVerb(*noun, "show", "show both sides' budgets, and what is spent", {"budget show"});
  onRun(*verb, context, [&context, fields] { return showList(context, "/v1/budget", scoped(context), fields); });
  verb = addVerb(*noun, "rm", "take one's own away; the other side's stays", {"budget rm"});
  onRun(*verb, context, [&context] {
    return showDone(context, context.api().send({.method = "DELETE", .path = "/v1/budget", .query = scoped(context)}),
                    "removed");
  });
}

}  // namespace

void addUsageVerbs(CLI::App& usage, Context& context) {
  const auto options = std::make_shared<BillingOptions>();
  CLI::App* verb = addVerb(
      usage, "export", "write a month's usage as a file that can be checked elsewhere",
      {"usage export --period 2026-11 -O acme.statement", "usage export -f focus --focus-version 1.3 -O focus.csv"});
  verb->add_option("--period", options->period, "the month (default: this one)");
  options->format = "statement";
  addFormat(*verb, options, {"statement", "focus", "events"});
  onRun(*verb, context, [&context, options] {
    return showInvoice(context, "/v1/periods/" + segment(periodOf(*options)) + "/invoice", *options, scoped(context));
  });
  verb = addVerb(usage, "verify", "check a statement from the readings' rows to the last line, offline",
                 {"usage verify acme.statement --key provider.pub",
                  "usage verify acme.statement --key 4f1d... --node-key hosts.pub",
                  "usage verify acme.statement --key provider.pub --head kept-head.json"});
  verb->add_option("file", options->file, "the statement")->required();
  verb->add_option("--key", options->key, "the provider's public key, or a file with it (see usage key)")->required();
  verb->add_option("--node-key", options->nodeKeys,
                   "a host's public key, or a file with such: then no other host is trusted (default: those in the "
                   "statement)");
  verb->add_option("--head", options->head,
                   "a head that was kept, as ledger head -o json wrote it: the rows must still pass through it");
  onRun(*verb, context, [&context, options] { return verify(context, *options); });
  verb = addVerb(usage, "check-focus", "check a FOCUS file against the specification's rules, offline",
                 {"usage check-focus focus.csv", "usage check-focus focus.csv --focus-version 1.3"});
  verb->add_option("file", options->file, "the file, as CSV")->required();
  addFocusVersion(*verb, options, "the version of FOCUS to check against (default: 1.2)");
  onRun(*verb, context, [&context, options] { return checkFocusFile(context, *options); });
  verb = addVerb(usage, "key", "print the public key that statements are signed with",
                 {"usage key >provider.pub", "usage key --nodes >hosts.pub"});
  verb->add_flag("--nodes", options->nodes, "those that the hosts seal their readings with, also former ones");
  onRun(*verb, context, [&context, options] {
    if (options->nodes)
      return showList(context, "/v1/node-keys", {},
                      {{"NODE", "node"}, {"PUBLIC KEY", "public_key"}, {"SINCE", "since", Unit::time}});
    const Response response = context.api().send({.path = "/v1/signing-key"});
    return showDone(context, response, text(*response.object(), "public_key"));
  });
}

void addBillingCommands(CLI::App& root, Context& context) {
  const auto options = std::make_shared<BillingOptions>();
  addInvoices(root, context, options);
  addAccounts(root, context, options);
}

}  // namespace cloister::cli
