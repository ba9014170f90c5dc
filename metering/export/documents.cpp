#include "metering/export/documents.h"

#include <Poco/JSON/Object.h>

#include <sstream>

#include "metering/export/focus.h"
#include "sandbox/base/utf8.h"

namespace cloister::metering {
namespace {

std::string nameOf(const AppNames& apps, const std::string& id) {
  const auto found = apps.find(id);
  return found == apps.end() ? id : found->second;
}

std::string quantityText(const InvoiceLine& line) {
  return line.unit.empty() ? "" : unitsText(line.quantity, findUnit(line.unit)->per, 6);
}

std::string unitText(const InvoiceLine& line) {
  return line.unit.empty() ? "" : std::string(findUnit(line.unit)->focus);
}

std::string escapedHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string cells(const std::initializer_list<std::string>& texts) {
  std::string row = "<tr>";
  std::size_t column = 0;
  for (const auto& text : texts) row += (++column > 3 ? "<td class=n>" : "<td>") + escapedHtml(text) + "</td>";
  return row + "</tr>\n";
}

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:3em auto;padding:0 1em;color:#1c2430}"
    "h1{font-size:1.5em}table{border-collapse:collapse;width:100%}th,td{padding:.35em .6em;text-align:left;"
    "border-bottom:1px solid #d8dde5}.n{text-align:right;font-variant-numeric:tabular-nums}"
    "tfoot td{font-weight:600;border-bottom:0}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1.5em}"
    "dt{color:#5a6678}dd{margin:0;overflow-wrap:anywhere}@media print{body{margin:0}}";

}  // namespace

std::string invoiceCsv(const Invoice& invoice, const AppNames& apps) {
  std::string text = "invoice,description,app,from,to,quantity,unit,cost,currency\r\n";
  const auto add = [&](const std::initializer_list<std::string>& fields) {
    std::string row;
    for (const auto& field : fields) row += (row.empty() ? "" : ",") + csvField(field);
    text += row + "\r\n";
  };
  for (const auto& line : invoice.lines)
    add({invoice.id, describe(line), nameOf(apps, line.appId), utcText(line.from), utcText(line.to), quantityText(line),
         unitText(line), moneyText(line.cost), invoice.currency});
  add({invoice.id, "Total", "", utcText(invoice.period.from), utcText(invoice.period.to), "", "",
       moneyText(invoice.total), invoice.currency});
  return text;
}

std::string invoiceHtml(const Invoice& invoice, const AppNames& apps, const std::string& issuer) {
  const std::string title = "Invoice " + invoice.id;
  std::string page = "<!doctype html><html lang=en><meta charset=utf-8><title>" + escapedHtml(title) +
                     "</title><style>" + kStyle + "</style>\n<h1>" + escapedHtml(title) + "</h1>\n<dl>";
  const auto fact = [&page](const std::string& name, const std::string& value) {
    page += "<dt>" + escapedHtml(name) + "</dt><dd>" + escapedHtml(value) + "</dd>";
  };
  fact("From", issuer);
  fact("To", invoice.tenantName + " (" + invoice.tenantId + ")");
  fact("Month", monthText(invoice.period) + ", UTC");
  fact("State", invoice.closedAt == 0 ? "draft: it may still change" : "closed " + utcText(invoice.closedAt));
  fact("Ledger", "rows up to " + std::to_string(invoice.lastRow) + ", chain " + invoice.head);
  page += "</dl>\n<table><thead><tr><th>What<th>App<th>Unit<th class=n>Quantity<th class=n>" +
          escapedHtml(invoice.currency) + "</tr></thead>\n<tbody>\n";
  for (const auto& line : invoice.lines)
    page += cells({describe(line), nameOf(apps, line.appId), unitText(line), quantityText(line), moneyText(line.cost)});
  page += "</tbody>\n<tfoot>" + cells({"Total", "", "", "", moneyText(invoice.total)}) + "</tfoot></table>\n";
  return page +
         "<p>Every line follows from rows of the ledger: export the month's statement and check it with "
         "<code>cloister usage verify</code>.</p></html>\n";
}

void writeCloudEvents(const std::string& tenantId, const std::vector<MeteredHour>& hours,
                      const std::function<void(std::string_view)>& sink) {
  constexpr std::size_t kRowDigits = 20;  // those of 64 bits: sequences compare as texts
  for (const auto& [usage, rows] : hours) {
    const std::string from = utcText(usage.hour);
    const std::string to = utcText(usage.hour + kHour);
    const std::string subject = tenantId + '/' + usage.appId + '/' + meterName(usage.meter) + '/' + from;
    const std::string row = std::to_string(rows.last);
    Poco::JSON::Object data(Poco::JSON_PRESERVE_KEY_ORDER);
    data.set("tenant", tenantId);
    data.set("app", usage.appId);
    data.set("meter", std::string(meterName(usage.meter)));
    data.set("unit", std::string(meterUnit(usage.meter)));
    data.set("quantity", decimal(usage.quantity));
    data.set("from", from);
    data.set("to", to);
    Poco::JSON::Object event(Poco::JSON_PRESERVE_KEY_ORDER);
    event.set("specversion", std::string("1.0"));
    event.set("id", subject + '/' + row);
    event.set("source", std::string("/cloister/usage"));
    event.set("type", std::string("cloister.usage.hour.v1"));
    event.set("subject", subject);
    event.set("sequence", std::string(kRowDigits - row.size(), '0') + row);
    event.set("time", to);
    event.set("datacontenttype", std::string("application/json"));
    event.set("data", data);
    std::ostringstream text;
    event.stringify(text);
    sink(utf8::jsonText(text.str()) + '\n');
  }
}

}  // namespace cloister::metering
