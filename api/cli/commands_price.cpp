#include <Poco/JSON/Array.h>
#include <fmt/format.h>

#include <ostream>

#include "api/cli/commands.h"
#include "api/cli/price_list_file.h"

namespace cloister::cli {
namespace {

// "1 free, then 0.5 up to 3, then 0.25".
std::string tiersText(const Poco::JSON::Object& item) {
  std::string line;
  if (const auto included = text(item, "included"); !included.empty() && included != "0") line = included + " free";
  const auto tiers = item.getArray("tiers");
  for (unsigned i = 0; !tiers.isNull() && i < tiers->size(); ++i) {
    const auto& tier = *tiers->getObject(i);
    if (!line.empty()) line += ", then ";
    line += text(tier, "price");
    if (const auto upTo = text(tier, "up_to"); !upTo.empty()) line += " up to " + upTo;
  }
  return line;
}

void printRows(std::ostream& out, const Poco::JSON::Object& list, const std::string& member,
               const std::vector<Column>& columns) {
  const auto rows = list.getArray(member);
  if (rows.isNull() || rows->size() == 0) return;
  Table table(columns);
  for (unsigned i = 0; i < rows->size(); ++i) table.add(*rows->getObject(i));
  out << '\n';
  table.print(out);
}

int showPrices(Context& context, const Response& response) {
  if (context.format == Format::json) return showDone(context, response, {});
  const auto list = response.object();
  auto& out = context.streams.out;
  printFields(out, {{"LIST", "name"}, {"FROM", "from"}, {"TO", "to"}, {"CURRENCY", "currency"}, {"MINIMUM", "minimum"}},
              *list);
  if (const auto items = list->getArray("items"); !items.isNull() && items->size() > 0) {
    Table table({{"SKU", ""}, {"METER", ""}, {"UNIT", ""}, {"PRICE", ""}});
    for (unsigned i = 0; i < items->size(); ++i) {
      const auto& item = *items->getObject(i);
      table.add({cell(item, "sku", Unit::text), cell(item, "meter", Unit::text), cell(item, "unit", Unit::text),
                 printable(tiersText(item))});
    }
    out << '\n';
    table.print(out);
  }
  printRows(out, *list, "plans",
            {{"PLAN", "plan"},
             {"FEE", "fee", Unit::integer},
             {"TRANSFER GB", "transfer_gb", Unit::integer},
             {"OVER", "over_transfer"}});
  printRows(out, *list, "taxes", {{"TAX", "name"}, {"PERCENT", "percent", Unit::integer}});
  const auto warnings = list->getArray("warnings");
  for (unsigned i = 0; !warnings.isNull() && i < warnings->size(); ++i) {
    context.streams.err << "Warning: " << printable(warnings->getElement<std::string>(i)) << '\n';
  }
  return 0;
}

}  // namespace

void addPriceCommands(CLI::App& root, Context& context) {
  const auto named = std::make_shared<std::string>();  // a file, or a list of the book
  CLI::App* noun = root.add_subcommand("price", "price lists: what usage costs, from when on");
  noun->require_subcommand(1);
  CLI::App* verb = addVerb(*noun, "add", "put a price list into the book; it never changes afterwards",
                           {"price add prices-2026.toml", "price add prices.json"});
  verb->add_option("file", *named, "the list, as TOML or JSON")->required();
  onRun(*verb, context, [&context, named] {
    const Response response = context.api().send({.method = "POST", .path = "/v1/prices", .body = priceListIn(*named)});
    return showDone(context, response, "added " + text(*response.object(), "name"));
  });
  verb = addVerb(*noun, "check", "show a price list as it would be in the book, or what is wrong with it; adds nothing",
                 {"price check prices-2027.toml"});
  verb->add_option("file", *named, "the list, as TOML or JSON")->required();
  onRun(*verb, context, [&context, named] {
    return showPrices(context,
                      context.api().send({.method = "POST", .path = "/v1/prices/check", .body = priceListIn(*named)}));
  });
  verb = addVerb(*noun, "ls", "list the price lists", {"price ls", "price ls -o json"});
  onRun(*verb, context, [&context] {
    return showList(context, "/v1/prices", {},
                    {{"LIST", "name"},
                     {"FROM", "from"},
                     {"TO", "to"},
                     {"CURRENCY", "currency"},
                     {"MINIMUM", "minimum", Unit::integer}});
  });
  verb = addVerb(*noun, "show", "show a price list of the book", {"price show 2026", "price show 2026 -o json"});
  verb->add_option("list", *named, "its name")->required();
  onRun(*verb, context, [&context, named] {
    return showPrices(context, context.api().send({.path = "/v1/prices/" + segment(*named)}));
  });
}

}  // namespace cloister::cli
