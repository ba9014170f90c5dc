#include <fmt/format.h>

#include <Poco/JSON/Array.h>
#include <ostream>

#include "api/cli/commands.h"

namespace cloister::cli {
namespace {

struct ProfileOptions {
  AppChoice app;
  std::string time;
  std::vector<std::string> calls;
  bool anew = false;
  bool noBuilds = false;
  bool noWait = false;
};
using Options = std::shared_ptr<ProfileOptions>;

std::string joined(const Poco::JSON::Array::Ptr& list) {
  std::string text;
  for (unsigned i = 0; !list.isNull() && i < list->size(); ++i) {
    text += (text.empty() ? "" : ", ") + list->getElement<std::string>(i);
  }
  return text;
}

int show(Context& context, const ProfileOptions& options) {
  const Response response = context.api().send({.path = appPath(options.app, "/profile"), .query = scoped(context)});
  if (context.format == Format::json) return showDone(context, response, {});
  const auto profile = response.object();
  printFields(context.streams.out,
              {{"APP", "app"},
               {"MODE", "mode"},
               {"LEARNS UNTIL", "learn_until", Unit::time},
               {"LISTED", "listed", Unit::integer},
               {"FLAGGED", "flagged", Unit::integer},
               {"OPEN", "open", Unit::integer},
               {"OF ITS CLASS", "class", Unit::integer}},
              *profile);
  Table table({{"CALL", ""}, {"LISTED", ""}, {"SEEN", ""}, {"FIRST", ""}});
  const auto calls = profile->getArray("calls");
  for (unsigned i = 0; !calls.isNull() && i < calls->size(); ++i) {
    const Poco::JSON::Object& call = *calls->getObject(i);
    table.add({cell(call, "name", Unit::text), call.getValue<bool>("listed") ? "yes" : "no",
               printable(joined(call.getArray("seen"))), cell(call, "first_at", Unit::time)});
  }
  if (table.empty()) {
    context.streams.err << "nothing has been learned yet: cloister app profile learn\n";
    return 0;
  }
  context.streams.out << '\n';
  table.print(context.streams.out);
  return 0;
}

int change(Context& context, const ProfileOptions& options, const Poco::JSON::Object& body, const std::string& line) {
  const Query query = scoped(context);
  const Response accepted = context.api().send(
      {.method = "PATCH", .path = appPath(options.app, "/profile"), .query = query, .body = requestBody(body)});
  return followOperation(context, accepted, query, options.noWait ? Wait::no : Wait::yes, line);
}

CLI::App* addChange(CLI::App& noun, const Options& options, const std::string& name, const std::string& description,
                    const std::vector<std::string>& examples) {
  CLI::App* verb = addVerb(noun, name, description, examples);
  verb->add_flag("--no-wait", options->noWait, "return when the API has accepted, before it is done");
  return verb;
}

void addMode(CLI::App& noun, Context& context, const Options& options, const std::string& mode,
             const std::string& description, const std::string& line) {
  CLI::App* verb = addChange(noun, options, mode, description, {fmt::format("app profile {} shop", mode)});
  verb->add_option("name", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*verb, options->app);
  onRun(*verb, context, [&context, options, mode, line] {
    Poco::JSON::Object body;
    body.set("mode", mode);
    return change(context, *options, body, line);
  });
}

void addLearn(CLI::App& noun, Context& context, const Options& options) {
  CLI::App* verb = addChange(noun, options, "learn", "record what the app calls; starts its instances anew",
                             {"app profile learn shop", "app profile learn shop --for 2h --anew --no-builds"});
  verb->add_option("name", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*verb, options->app);
  verb->add_option("--for", options->time, "how long, as 90m or 6h (default: 6h); afterwards what is new is flagged");
  verb->add_flag("--anew", options->anew, "forget first what was seen before");
  verb->add_flag("--no-builds", options->noBuilds, "leave out what only builds call: a shorter list");
  onRun(*verb, context, [&context, options] {
    Poco::JSON::Object body;
    body.set("mode", std::string("learn"));
    if (!options->time.empty()) {
      const auto seconds = parseDuration(options->time);
      if (!seconds) throw UsageError(fmt::format("app profile learn: \"{}\" is no time, as 90m or 6h", options->time));
      body.set("learn_seconds", *seconds);
    }
    if (options->anew) body.set("anew", true);
    body.set("builds", !options->noBuilds);
    return change(context, *options, body, "learning");
  });
}

void addCalls(CLI::App& noun, Context& context, const Options& options, const std::string& member,
              const std::string& description, const std::string& line) {
  CLI::App* verb =
      addChange(noun, options, member, description, {fmt::format("app profile {} getrusage flock --app shop", member)});
  verb->add_option("calls", options->calls, "names of system calls")->required();
  addAppOption(*verb, options->app);
  onRun(*verb, context, [&context, options, member, line] {
    Poco::JSON::Array::Ptr names = new Poco::JSON::Array;
    for (const std::string& name : options->calls) names->add(name);
    Poco::JSON::Object body;
    body.set(member, names);
    return change(context, *options, body, line);
  });
}

}  // namespace

void addProfileCommands(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ProfileOptions>();
  CLI::App* noun = app.add_subcommand("profile", "the app's own list of system calls, narrower than its class's");
  noun->require_subcommand(1);

  CLI::App* verb = addVerb(*noun, "show", "show the list, what was seen and what was flagged",
                           {"app profile show shop", "app profile show shop -o json"});
  verb->add_option("name", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*verb, options->app);
  onRun(*verb, context, [&context, options] { return show(context, *options); });

  addLearn(*noun, context, options);
  addMode(*noun, context, options, "grace", "flag what the list lacks, and let it go on", "what is new is flagged");
  addMode(*noun, context, options, "enforce", "refuse what the list lacks; starts the instances anew", "enforced");
  addMode(*noun, context, options, "off", "go back to the whole class; starts the instances anew", "off");
  addCalls(*noun, context, options, "allow", "put calls on the list that were not seen, or were flagged", "allowed");
  addCalls(*noun, context, options, "forget", "take calls off the list", "forgotten");
}

}  // namespace cloister::cli
