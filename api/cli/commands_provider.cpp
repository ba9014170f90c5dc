#include <fmt/format.h>

#include <array>
#include <charconv>
#include <map>
#include <ostream>

#include "api/cli/commands.h"

namespace cloister::cli {
namespace {

const std::vector<Column> kPlanFields{{"PLAN", "name"},
                                      {"MEMORY", "limits.memory_bytes", Unit::bytes},
                                      {"CPU", "limits.cpu_millis", Unit::cpuMillis},
                                      {"PIDS", "limits.pids", Unit::integer},
                                      {"DISK", "limits.disk_bytes", Unit::bytes},
                                      {"INODES", "limits.inodes", Unit::integer},
                                      {"NETWORK", "limits.network_bits_per_second", Unit::bitsPerSecond},
                                      {"INSTANCES", "limits.instances", Unit::integer},
                                      {"APPS", "limits.apps", Unit::integer},
                                      {"BUILD MEMORY", "limits.build_memory_bytes", Unit::bytes},
                                      {"BUILD DISK", "limits.build_disk_bytes", Unit::bytes},
                                      {"BUILD TIME", "limits.build_seconds", Unit::seconds},
                                      {"MEMORY HIGH", "limits.memory_high_bytes", Unit::bytes},
                                      {"CPU BURST", "limits.cpu_burst_millis", Unit::cpuMillis},
                                      {"DISK RATE", "limits.disk_bytes_per_second", Unit::bytes},
                                      {"DISK OPS", "limits.disk_operations_per_second", Unit::integer},
                                      {"RELEASES", "limits.releases", Unit::integer},
                                      {"IMAGE DISK", "limits.image_disk_bytes", Unit::bytes},

                                      {"SURGE %", "limits.surge_percent", Unit::integer}};
const std::vector<Column> kTenantFields{
    {"TENANT", "name"}, {"ID", "id"}, {"PLAN", "plan"}, {"STATE", "state"}, {"CREATED", "created_at", Unit::time}};
const std::vector<Column> kTokenFields{{"ID", "id"},
                                       {"NAME", "name"},
                                       {"SCOPE", "scope"},
                                       {"TENANT", "tenant"},
                                       {"CREATED", "created_at", Unit::time},
                                       {"LAST USED", "last_used_at", Unit::time},
                                       {"REVOKED", "revoked"}};
const std::vector<Column> kNodeFields{{"NODE", "name"},
                                      {"ID", "id"},
                                      {"STATE", "state"},
                                      {"INSTANCES", "instances", Unit::integer},
                                      {"LAST SEEN", "last_seen", Unit::time}};

using Parse = std::optional<std::uint64_t> (*)(std::string_view);

std::optional<std::uint64_t> parseCount(std::string_view text) {
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  return std::stoull(std::string(text));
}

struct LimitOption {
  const char* flag;
  const char* member;
  const char* description;
  Parse parse;
};
// "50%", "0.5" or "all": hundredths.
std::optional<std::uint64_t> parsePercent(std::string_view text) {
  if (text == "all") return 100;
  const bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0)) return std::nullopt;
  if (!percent) value *= 100;
  if (value > 100) return std::nullopt;
  return static_cast<std::uint64_t>(value + 0.5);
}

constexpr std::array<LimitOption, 18> kLimits{
    {{"--memory", "memory_bytes", "memory of all instances and builds together, as 512M or 2G", parseBytes},
     {"--cpu", "cpu_millis", "cores, as 0.5, 2 or 500m", parseCpu},
     {"--pids", "pids", "processes and threads", parseCount},
     {"--disk", "disk_bytes", "writable disk, as 1G", parseBytes},
     {"--inodes", "inodes", "files and directories on it", parseCount},
     {"--network", "network_bits_per_second", "network rate in bits a second, as 100M", parseRate},
     {"--instances", "instances", "instances", parseCount},
     {"--apps", "apps", "apps", parseCount},
     {"--build-memory", "build_memory_bytes", "memory of a build, as 1G", parseBytes},
     {"--build-disk", "build_disk_bytes", "disk of a build, as 4G", parseBytes},
     {"--build-time", "build_seconds", "longest build, as 15m", parseDuration},
     {"--memory-high", "memory_high_bytes", "memory beyond which the tenant is slowed, as 900M (0: none)", parseBytes},
     {"--cpu-burst", "cpu_burst_millis", "unused quota to spend at once, as 500m (0: none)", parseCpu},
     {"--disk-rate", "disk_bytes_per_second", "bytes a second read or written on a disk, as 50M (0: any)", parseBytes},
     {"--disk-operations", "disk_operations_per_second", "reads or writes a second on a disk (0: any)", parseCount},
     {"--releases", "releases", "releases of an app whose images are kept (default 10)", parseCount},
     {"--image-disk", "image_disk_bytes", "disk of all images that are kept, as 5G (default 10G)", parseBytes},
     {"--surge", "surge_percent",
      "how far a rollout may go beyond memory, disk and instances, so that a new instance starts beside the old: 50%, "
      "0.5, "
      "or all when nothing is given (0: it stops first)",
      parsePercent}}};

struct PlanOptions {
  std::string name;
  std::map<std::string, std::string> limits;  // flag -> text
};

void addLimits(CLI::App& verb, PlanOptions& options) {
  for (const LimitOption& limit : kLimits) {
    CLI::Option* option = verb.add_option(limit.flag, options.limits[limit.flag], limit.description);
    if (limit.parse == parsePercent) option->expected(0, 1)->default_str("all");
  }
}

Poco::JSON::Object::Ptr limitsOf(const PlanOptions& options) {
  Poco::JSON::Object::Ptr limits = new Poco::JSON::Object;
  for (const LimitOption& limit : kLimits) {
    const std::string& text = options.limits.at(limit.flag);
    if (text.empty()) continue;
    const auto value = limit.parse(text);
    if (!value) throw UsageError(fmt::format("{}: \"{}\" is not {}", limit.flag, text, limit.description));
    limits->set(limit.member, *value);
  }
  return limits;
}

// A refusal names the API's member; the caller typed a flag.
template <typename Send>
Response sentWithLimits(Send send) {
  try {
    return send();
  } catch (const ApiError& error) {
    for (const LimitOption& limit : kLimits) {
      if (error.field() != std::string("limits.") + limit.member) continue;
      throw std::runtime_error(error.code() == "missing_field"
                                   ? fmt::format("{} is required: {}", limit.flag, limit.description)
                                   : fmt::format("{}: {}", limit.flag, error.detail()));
    }
    throw;
  }
}

void addPlanRemoval(CLI::App& noun, Context& context, const std::shared_ptr<PlanOptions>& options) {
  CLI::App* remove = addVerb(noun, "rm", "remove a plan that no tenant is on", {"plan rm small"});
  remove->add_option("name", options->name)->required();
  onRun(*remove, context, [&context, options] {
    const Response response = context.api().send({.method = "DELETE", .path = "/v1/plans/" + segment(options->name)});
    return showDone(context, response, fmt::format("plan {} removed", options->name));
  });
}

void addPlan(CLI::App& root, Context& context) {
  CLI::App* noun = root.add_subcommand("plan", "plans: what a tenant may use");
  noun->require_subcommand(1);
  const auto options = std::make_shared<PlanOptions>();

  CLI::App* create = addVerb(*noun, "create", "create a plan; every limit up to --build-time must be given",
                             {"plan create small --memory 1G --cpu 1 --pids 512 --disk 2G --inodes 200000 "
                              "--network 100M --instances 10 --apps 10 --build-memory 1G --build-disk 4G "
                              "--build-time 15m"});
  create->add_option("name", options->name, "name, a DNS label")->required();
  addLimits(*create, *options);
  onRun(*create, context, [&context, options] {
    Poco::JSON::Object body;
    body.set("name", options->name);
    body.set("limits", limitsOf(*options));
    const Response response = sentWithLimits(
        [&] { return context.api().send({.method = "POST", .path = "/v1/plans", .body = requestBody(body)}); });
    return showDone(context, response, fmt::format("plan {} created", options->name));
  });

  CLI::App* list = addVerb(*noun, "ls", "list plans", {"plan ls", "plan ls -o json"});
  onRun(*list, context, [&context] { return showList(context, "/v1/plans", {}, kPlanFields); });

  CLI::App* show = addVerb(*noun, "show", "show a plan", {"plan show small"});
  show->add_option("name", options->name)->required();
  onRun(*show, context, [&context, options] {
    return showObject(context, context.api().send({.path = "/v1/plans/" + segment(options->name)}), kPlanFields);
  });

  CLI::App* set = addVerb(*noun, "set", "change limits; running tenants get them at once",
                          {"plan set small --memory 2G", "plan set small --cpu 500m --pids 256"});
  set->add_option("name", options->name)->required();
  addLimits(*set, *options);
  onRun(*set, context, [&context, options] {
    Poco::JSON::Object body;
    const auto limits = limitsOf(*options);
    if (limits->size() == 0) throw UsageError("plan set: give at least one limit, as --memory 2G");
    body.set("limits", limits);
    const Response response = sentWithLimits([&] {
      return context.api().send(
          {.method = "PATCH", .path = "/v1/plans/" + segment(options->name), .body = requestBody(body)});
    });
    return showDone(context, response, fmt::format("plan {} changed", options->name));
  });
  addPlanRemoval(*noun, context, options);
}

struct TenantOptions {
  std::string name;
  std::string plan;
  bool yes = false;
};

void addTenant(CLI::App& root, Context& context) {
  CLI::App* noun = root.add_subcommand("tenant", "tenants: the customers of the host");
  noun->require_subcommand(1);
  const auto options = std::make_shared<TenantOptions>();
  const auto path = [options](const std::string& below = {}) {
    return "/v1/tenants/" + segment(options->name) + below;
  };

  CLI::App* create = addVerb(*noun, "create", "create a tenant", {"tenant create acme --plan small"});
  create->add_option("name", options->name, "name, a DNS label")->required();
  create->add_option("--plan", options->plan, "its plan")->required();
  onRun(*create, context, [&context, options] {
    Poco::JSON::Object body;
    body.set("name", options->name);
    body.set("plan", options->plan);
    return showDone(context, context.api().send({.method = "POST", .path = "/v1/tenants", .body = requestBody(body)}),
                    fmt::format("tenant {} created", options->name));
  });

  CLI::App* list = addVerb(*noun, "ls", "list tenants", {"tenant ls"});
  onRun(*list, context, [&context] { return showList(context, "/v1/tenants", {}, kTenantFields); });

  CLI::App* show = addVerb(*noun, "show", "show a tenant", {"tenant show acme"});
  show->add_option("name", options->name)->required();
  onRun(*show, context,
        [&context, path] { return showObject(context, context.api().send({.path = path()}), kTenantFields); });

  CLI::App* set = addVerb(*noun, "set", "move a tenant to another plan", {"tenant set acme --plan large"});
  set->add_option("name", options->name)->required();
  set->add_option("--plan", options->plan, "its new plan")->required();
  onRun(*set, context, [&context, options, path] {
    Poco::JSON::Object body;
    body.set("plan", options->plan);
    return showDone(context, context.api().send({.method = "PATCH", .path = path(), .body = requestBody(body)}),
                    fmt::format("tenant {} has plan {}", options->name, options->plan));
  });

  for (const auto& [verbName, description, done] :
       {std::array{"suspend", "stop a tenant's workloads, keep its data", "suspended"},
        std::array{"resume", "start a suspended tenant again", "resumed"}}) {
    CLI::App* verb = addVerb(*noun, verbName, description, {fmt::format("tenant {} acme", verbName)});
    verb->add_option("name", options->name)->required();
    const std::string below = std::string("/") + verbName;
    const std::string past = done;
    onRun(*verb, context, [&context, options, path, below, past] {
      return showDone(context, context.api().send({.method = "POST", .path = path(below)}),
                      fmt::format("tenant {} {}", options->name, past));
    });
  }

  CLI::App* remove = addVerb(*noun, "rm", "remove a tenant and all that it owns", {"tenant rm acme --yes"});
  remove->add_option("name", options->name)->required();
  remove->add_flag("-y,--yes", options->yes, "do not ask");
  onRun(*remove, context, [&context, options, path] {
    confirm(context, options->yes, fmt::format("Remove tenant {} with its apps, releases and logs?", options->name),
            Unattended::needsYes);
    const Response accepted = context.api().send({.method = "DELETE", .path = path()});
    return followOperation(context, accepted, {}, Wait::yes, fmt::format("tenant {} removed", options->name));
  });
}

struct TokenOptions {
  std::string name;
  std::string scope;
  std::string node;
};

void addToken(CLI::App& root, Context& context) {
  CLI::App* noun = root.add_subcommand("token", "tokens: who may call the API");
  noun->require_subcommand(1);
  const auto options = std::make_shared<TokenOptions>();

  CLI::App* create = addVerb(*noun, "create", "create a token; its secret is printed once, alone on standard output",
                             {"token create laptop --tenant acme", "token create operations --scope provider"});
  create->add_option("name", options->name, "a name to know it by")->required();
  create->add_option("--node", options->node,
                     "the node that a token of scope node is for (default: the first to use it)");
  create->add_option("--scope", options->scope, "provider, tenant (default) or node")
      ->check(CLI::IsMember({"provider", "tenant", "node"}));
  onRun(*create, context, [&context, options] {
    Poco::JSON::Object body;
    body.set("name", options->name);
    if (!options->scope.empty()) body.set("scope", options->scope);
    if (!options->node.empty()) body.set("node", options->node);
    const std::string& tenant = context.api().settings().tenant;
    if (!tenant.empty() && (options->scope.empty() || options->scope == "tenant")) body.set("tenant", tenant);
    const Response response = context.api().send({.method = "POST", .path = "/v1/tokens", .body = requestBody(body)});
    if (context.format == Format::table) {
      context.streams.err << "token " << text(*response.object(), "id") << "; the secret is shown this once\n";
    }
    return showDone(context, response, text(*response.object(), "secret"));
  });

  CLI::App* list = addVerb(*noun, "ls", "list tokens", {"token ls", "token ls --tenant acme"});
  onRun(*list, context, [&context] { return showList(context, "/v1/tokens", scoped(context), kTokenFields); });

  CLI::App* revoke = addVerb(*noun, "revoke", "revoke a token at once", {"token revoke tk-4f2a9c"});
  revoke->add_option("id", options->name, "its id, from `token ls`")->required();
  onRun(*revoke, context, [&context, options] {
    return showDone(context, context.api().send({.method = "DELETE", .path = "/v1/tokens/" + segment(options->name)}),
                    fmt::format("token {} revoked", options->name));
  });
}

void addNode(CLI::App& root, Context& context) {
  CLI::App* noun = root.add_subcommand("node", "nodes: the hosts that run instances");
  noun->require_subcommand(1);
  const auto name = std::make_shared<std::string>();
  const auto path = [name](const std::string& below = {}) { return "/v1/nodes/" + segment(*name) + below; };

  CLI::App* list = addVerb(*noun, "ls", "list nodes", {"node ls"});
  onRun(*list, context, [&context] { return showList(context, "/v1/nodes", {}, kNodeFields); });

  CLI::App* show = addVerb(*noun, "show", "show a node", {"node show host-1"});
  show->add_option("node", *name, "name or id")->required();
  onRun(*show, context,
        [&context, path] { return showObject(context, context.api().send({.path = path()}), kNodeFields); });

  for (const auto& [verbName, description, done] :
       {std::array{"cordon", "place nothing new on a node", "cordoned"},
        std::array{"uncordon", "place on a node again", "ready"},
        std::array{"drain", "cordon a node and move its instances away", "draining"}}) {
    CLI::App* verb = addVerb(*noun, verbName, description, {fmt::format("node {} host-1", verbName)});
    verb->add_option("node", *name, "name or id")->required();
    const std::string below = std::string("/") + verbName;
    const std::string past = done;
    onRun(*verb, context, [&context, name, path, below, past] {
      return showDone(context, context.api().send({.method = "POST", .path = path(below)}),
                      fmt::format("node {} {}", *name, past));
    });
  }

  CLI::App* remove = addVerb(*noun, "rm", "forget a node that has nothing left", {"node rm host-1"});
  remove->add_option("node", *name, "name or id")->required();
  onRun(*remove, context, [&context, name, path] {
    return showDone(context, context.api().send({.method = "DELETE", .path = path()}),
                    fmt::format("node {} removed", *name));
  });
}

}  // namespace

void addProviderCommands(CLI::App& root, Context& context) {
  addPlan(root, context);
  addTenant(root, context);
  addToken(root, context);
  addNode(root, context);
}

}  // namespace cloister::cli
