#include <fmt/format.h>

#include <ostream>

#include "api/cli/commands.h"

namespace cloister::cli {
namespace {

const std::vector<Column> kAppFields{{"APP", "name"},
                                     {"TENANT", "tenant"},
                                     {"STATUS", "status"},
                                     {"RELEASE", "release", Unit::integer},
                                     {"PROCESSES", "formation", Unit::list},
                                     {"URL", "url"}};
const std::vector<Column> kInstanceFields{{"INSTANCE", "id"},
                                          {"PROCESS", "process"},
                                          {"STATE", "state"},
                                          {"RELEASE", "release", Unit::integer},
                                          {"ADDRESS", "address"},
                                          {"NODE", "node"},
                                          {"RESTARTS", "restarts", Unit::integer},
                                          {"SINCE", "changed_at", Unit::time},
                                          {"NEXT START", "next_start_at", Unit::time},
                                          {"REASON", "reason"}};
const std::vector<Column> kReleaseFields{{"VERSION", "version", Unit::integer},
                                         {"CURRENT", "current"},
                                         {"STATE", "state"},
                                         {"DESCRIPTION", "description"},
                                         {"IMAGE", "image_bytes", Unit::bytes},
                                         {"BY", "created_by"},
                                         {"CREATED", "created_at", Unit::time}};

struct AppOptions {
  AppChoice app;
  std::string value;
  std::vector<std::string> values;
  bool noWait = false;
  bool yes = false;
  [[nodiscard]] Wait wait() const { return noWait ? Wait::no : Wait::yes; }
};
using Options = std::shared_ptr<AppOptions>;

void addNoWait(CLI::App& verb, AppOptions& options) {
  verb.add_flag("--no-wait", options.noWait, "return when the API has accepted, before it is done");
}

void addApp(CLI::App& root, Context& context) {
  CLI::App* noun = root.add_subcommand("app", "apps of a tenant");
  noun->require_subcommand(1);
  const auto options = std::make_shared<AppOptions>();

  CLI::App* create = addVerb(*noun, "create", "create an app without a release (deploy does it too)",
                             {"app create shop", "app create shop --tenant acme"});
  create->add_option("name", options->app.name, "name, a DNS label (default: the working directory's)");
  onRun(*create, context, [&context, options] {
    Poco::JSON::Object body;
    body.set("name", options->app.resolved());
    const Response response =
        context.api().send({.method = "POST", .path = "/v1/apps", .query = scoped(context), .body = requestBody(body)});
    return showDone(context, response, fmt::format("app {} created", options->app.resolved()));
  });

  CLI::App* list = addVerb(*noun, "ls", "list apps", {"app ls", "app ls --tenant acme -o json"});
  onRun(*list, context, [&context] { return showList(context, "/v1/apps", scoped(context), kAppFields); });

  CLI::App* show = addVerb(*noun, "show", "show an app", {"app show shop", "app show shop -o json"});
  show->add_option("name", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*show, options->app);
  onRun(*show, context, [&context, options] {
    return showObject(context, context.api().send({.path = appPath(options->app), .query = scoped(context)}),
                      kAppFields);
  });

  CLI::App* remove = addVerb(*noun, "rm", "stop and remove an app", {"app rm shop --yes"});
  remove->add_option("name", options->app.name, "the app")->required();
  remove->add_flag("-y,--yes", options->yes, "do not ask");
  addNoWait(*remove, *options);
  onRun(*remove, context, [&context, options] {
    confirm(context, options->yes, fmt::format("Remove app {} with its releases and logs?", options->app.name));
    const Query query = scoped(context);
    const Response accepted = context.api().send({.method = "DELETE", .path = appPath(options->app), .query = query});
    return followOperation(context, accepted, query, options->wait(), fmt::format("app {} removed", options->app.name));
  });

  addProfileCommands(*noun, context);
}

void addPs(CLI::App& root, Context& context) {
  const auto options = std::make_shared<AppOptions>();
  CLI::App* verb = addVerb(root, "ps", "list the instances of an app", {"ps", "ps shop", "ps --app shop -o json"});
  verb->add_option("app", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*verb, options->app);
  onRun(*verb, context, [&context, options] {
    return showList(context, appPath(options->app, "/instances"), scoped(context), kInstanceFields);
  });
}

void addScale(CLI::App& root, Context& context) {
  const auto options = std::make_shared<AppOptions>();
  CLI::App* verb = addVerb(root, "scale", "set how many instances of each process type run",
                           {"scale web=3 --app shop", "scale web=2 worker=1", "scale"});
  verb->add_option("formation", options->values, "TYPE=COUNT ...; without any, what is wanted now is shown");
  addAppOption(*verb, options->app);
  addNoWait(*verb, *options);
  onRun(*verb, context, [&context, options] {
    const std::string path = appPath(options->app, "/formation");
    const Query query = scoped(context);
    if (options->values.empty()) {
      const Response now = context.api().send({.path = path, .query = query});
      std::vector<Column> columns;
      for (const std::string& type : now.object()->getNames()) columns.push_back({type, type, Unit::integer});
      return showObject(context, now, columns);
    }
    Poco::JSON::Object body;
    for (const std::string& pair : options->values) {
      const std::size_t equals = pair.find('=');
      const std::string count = equals == std::string::npos ? "" : pair.substr(equals + 1);
      if (equals == 0 || count.empty() || count.size() > 6 ||
          count.find_first_not_of("0123456789") != std::string::npos) {
        throw UsageError(fmt::format("scale: \"{}\" is not TYPE=COUNT, as web=3", pair));
      }
      body.set(pair.substr(0, equals), std::stoi(count));
    }
    const Response accepted =
        context.api().send({.method = "PATCH", .path = path, .query = query, .body = requestBody(body)});
    return followOperation(context, accepted, query, options->wait(), "scaled");
  });
}

void addRestart(CLI::App& root, Context& context) {
  const auto options = std::make_shared<AppOptions>();
  CLI::App* verb = addVerb(root, "restart", "start every instance of an app anew, one after the other; makes a release",
                           {"restart shop", "restart --app shop --no-wait"});
  verb->add_option("app", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*verb, options->app);
  addNoWait(*verb, *options);
  onRun(*verb, context, [&context, options] {
    const Query query = scoped(context);
    const Response accepted =
        context.api().send({.method = "POST", .path = appPath(options->app, "/restart"), .query = query});
    return followOperation(context, accepted, query, options->wait(), "restarted");
  });
}

void addReleases(CLI::App& root, Context& context) {
  const auto options = std::make_shared<AppOptions>();
  CLI::App* noun = root.add_subcommand("release", "releases of an app; one never changes");
  noun->require_subcommand(1);
  CLI::App* list = addVerb(*noun, "ls", "list releases, newest first", {"release ls", "release ls --app shop"});
  list->add_option("app", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*list, options->app);
  onRun(*list, context, [&context, options] {
    return showList(context, appPath(options->app, "/releases"), scoped(context), kReleaseFields);
  });

  CLI::App* rollback = addVerb(root, "rollback", "release an earlier version again, as a new version",
                               {"rollback", "rollback v3 --app shop"});
  rollback->add_option("version", options->value, "v3 or 3 (default: the one before the current)");
  addAppOption(*rollback, options->app);
  addNoWait(*rollback, *options);
  onRun(*rollback, context, [&context, options] {
    Poco::JSON::Object body;
    if (!options->value.empty()) {
      const std::string digits = options->value.substr(options->value.front() == 'v' ? 1 : 0);
      if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos) {
        throw UsageError(fmt::format("rollback: \"{}\" is not a version, as v3", options->value));
      }
      body.set("version", std::stoi(digits));
    }
    const Query query = scoped(context);
    const Response accepted = context.api().send(
        {.method = "POST", .path = appPath(options->app, "/rollback"), .query = query, .body = requestBody(body)});
    return followOperation(context, accepted, query, options->wait(), "rolled back");
  });
}

void addDomains(CLI::App& root, Context& context) {
  const auto options = std::make_shared<AppOptions>();
  CLI::App* noun = root.add_subcommand("domain", "more host names of an app");
  noun->require_subcommand(1);

  CLI::App* add =
      addVerb(*noun, "add", "serve the app under one more host name", {"domain add www.example.org --app shop"});
  add->add_option("host", options->value, "the host name")->required();
  addAppOption(*add, options->app);
  onRun(*add, context, [&context, options] {
    Poco::JSON::Object body;
    body.set("host", options->value);
    const Response response = context.api().send({.method = "POST",
                                                  .path = appPath(options->app, "/domains"),
                                                  .query = scoped(context),
                                                  .body = requestBody(body)});
    return showDone(context, response, fmt::format("domain {} added", options->value));
  });

  CLI::App* list = addVerb(*noun, "ls", "list the app's host names", {"domain ls --app shop"});
  addAppOption(*list, options->app);
  onRun(*list, context, [&context, options] {
    return showList(context, appPath(options->app, "/domains"), scoped(context),
                    {{"HOST", "host"}, {"APP", "app"}, {"URL", "url"}});
  });

  CLI::App* remove = addVerb(*noun, "rm", "stop serving a host name", {"domain rm www.example.org --app shop"});
  remove->add_option("host", options->value, "the host name")->required();
  addAppOption(*remove, options->app);
  onRun(*remove, context, [&context, options] {
    const Response response = context.api().send({.method = "DELETE",
                                                  .path = appPath(options->app, "/domains/" + segment(options->value)),
                                                  .query = scoped(context)});
    return showDone(context, response, fmt::format("domain {} removed", options->value));
  });
}

}  // namespace

void addAppCommands(CLI::App& root, Context& context) {
  addApp(root, context);
  addPs(root, context);
  addScale(root, context);
  addRestart(root, context);
  addReleases(root, context);
  addDomains(root, context);
}

}  // namespace cloister::cli
