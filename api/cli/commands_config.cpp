#include <fmt/format.h>

#include <istream>
#include <iterator>
#include <ostream>

#include "api/cli/commands.h"
#include "sandbox/base/caller_terminal.h"

namespace cloister::cli {
namespace {

struct ConfigOptions {
  AppChoice app;
  std::vector<std::string> entries;
  bool noWait = false;
};

// K=V pairs, or names alone whose one value is all of standard input, without its last newline.
Poco::JSON::Object entriesToSet(Context& context, const ConfigOptions& options, const char* noun) {
  Poco::JSON::Object body;
  bool inputUsed = false;
  for (const std::string& entry : options.entries) {
    const std::size_t equals = entry.find('=');
    if (equals == 0) throw UsageError(fmt::format("{} set: \"{}\" has no name before the =", noun, entry));
    if (equals != std::string::npos) {
      body.set(entry.substr(0, equals), entry.substr(equals + 1));
      continue;
    }
    if (std::string_view(noun) != "secret") {
      throw UsageError(fmt::format("{} set: \"{}\" is not NAME=VALUE", noun, entry));
    }
    if (inputUsed) throw UsageError("secret set: only one value can come from standard input");
    if (terminal::isTerminal(0)) context.streams.err << "Value of " << entry << ", then Ctrl-D: " << std::flush;
    std::string value{std::istreambuf_iterator<char>(context.streams.in), {}};
    if (value.ends_with('\n')) value.pop_back();
    body.set(entry, value);
    inputUsed = true;
  }
  return body;
}

int change(Context& context, const ConfigOptions& options, const std::string& below, const Poco::JSON::Object& body,
           const std::string& line) {
  const Query query = scoped(context);
  const Response accepted = context.api().send(
      {.method = "PATCH", .path = appPath(options.app, below), .query = query, .body = requestBody(body)});
  return followOperation(context, accepted, query, options.noWait ? Wait::no : Wait::yes, line);
}

void addChanges(CLI::App& noun, Context& context, const std::shared_ptr<ConfigOptions>& options, const char* name,
                const std::string& below, const std::vector<std::string>& setExamples) {
  CLI::App* set = addVerb(noun, "set", fmt::format("set {} entries; makes a release", name), setExamples);
  set->add_option("entries", options->entries, "NAME=VALUE ...")->required();
  addAppOption(*set, options->app);
  set->add_flag("--no-wait", options->noWait, "return when the API has accepted");
  onRun(*set, context, [&context, options, name, below] {
    return change(context, *options, below, entriesToSet(context, *options, name), fmt::format("{} set", name));
  });

  CLI::App* unset = addVerb(noun, "unset", fmt::format("remove {} entries; makes a release", name),
                            {fmt::format("{} unset GREETING --app shop", name)});
  unset->add_option("names", options->entries, "NAME ...")->required();
  addAppOption(*unset, options->app);
  unset->add_flag("--no-wait", options->noWait, "return when the API has accepted");
  onRun(*unset, context, [&context, options, name, below] {
    Poco::JSON::Object body;
    for (const std::string& entry : options->entries) body.set(entry, Poco::Dynamic::Var());
    return change(context, *options, below, body, fmt::format("{} unset", name));
  });
}

}  // namespace

void addConfigCommands(CLI::App& root, Context& context) {
  const auto options = std::make_shared<ConfigOptions>();

  CLI::App* config = root.add_subcommand("config", "environment variables of an app");
  config->require_subcommand(1);
  addChanges(*config, context, options, "config", "/config",
             {"config set GREETING=hello --app shop", "config set A=1 B=2"});
  CLI::App* list = addVerb(*config, "ls", "list the variables", {"config ls --app shop", "config ls -o json"});
  addAppOption(*list, options->app);
  onRun(*list, context, [&context, options] {
    const Response response = context.api().send({.path = appPath(options->app, "/config"), .query = scoped(context)});
    if (context.format == Format::json) return showDone(context, response, {});
    const auto variables = response.object();
    for (const std::string& name : variables->getNames()) {
      context.streams.out << printable(name + "=" + text(*variables, name)) << '\n';
    }
    return 0;
  });

  CLI::App* secret = root.add_subcommand("secret", "secrets of an app: environment variables that are never shown");
  secret->require_subcommand(1);
  addChanges(*secret, context, options, "secret", "/secrets",
             {"secret set DATABASE_URL --app shop < url.txt", "secret set TOKEN=t0ps3cret"});
  CLI::App* names = addVerb(*secret, "ls", "list the names of the secrets", {"secret ls --app shop"});
  addAppOption(*names, options->app);
  onRun(*names, context, [&context, options] {
    return showList(context, appPath(options->app, "/secrets"), scoped(context), {{"SECRET", "name"}});
  });
}

}  // namespace cloister::cli
