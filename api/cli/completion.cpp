#include "api/cli/completion.h"

#include <fmt/format.h>

#include <vector>

namespace cloister::cli {
namespace {

struct Place {
  std::string path;                                          // "app create"; empty for the root
  std::vector<std::pair<std::string, std::string>> verbs;    // name, description
  std::vector<std::pair<std::string, std::string>> options;  // "--app", description
};

void collect(const CLI::App& app, const std::string& path, std::vector<Place>& places) {
  Place place{path, {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      place.options.emplace_back("--" + name, option->get_description());
  }
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children) place.verbs.emplace_back(child->get_name(), child->get_description());
  places.push_back(std::move(place));
  for (const CLI::App* child : children)
    collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), places);
}

std::string words(const Place& place, const Place& root) {
  std::string text;
  for (const auto& [name, description] : place.verbs) text += name + " ";
  for (const auto& [name, description] : place.options) text += name + " ";
  if (&place != &root) {
    for (const auto& [name, description] : root.options) {
      if (name != "--help") text += name + " ";
    }
  }
  if (!text.empty()) text.pop_back();
  return text;
}

std::string bash(const std::vector<Place>& places) {
  std::string cases;
  std::string known;
  for (const Place& place : places) {
    cases += fmt::format("    \"{}\") words=\"{}\" ;;\n", place.path, words(place, places.front()));
    if (!place.path.empty()) known += fmt::format("{}\"{}\"", known.empty() ? "" : "|", place.path);
  }
  return fmt::format(R"(# bash completion of cloister; source it, or install it as bash-completion's "cloister"
_cloister() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" path="" word next words i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    case "$word" in -*) continue ;; esac
    next="${{path:+$path }}$word"
    case "$next" in
      {}) path="$next" ;;
    esac
  done
  case "$path" in
{}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ "$path" == deploy && "$current" != -* ]]; then COMPREPLY+=($(compgen -d -- "$current")); fi
}}
complete -F _cloister cloister
)",
                     known, cases);
}

std::string fishQuoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return result + "'";
}

std::string fish(const std::vector<Place>& places) {
  std::string script = "# fish completion of cloister; install it as ~/.config/fish/completions/cloister.fish\n";
  for (const Place& place : places) {
    std::string condition = "__fish_use_subcommand";
    if (const std::size_t space = place.path.find(' '); space != std::string::npos) {
      condition = fmt::format("__fish_seen_subcommand_from {}; and __fish_seen_subcommand_from {}",
                              place.path.substr(0, space), place.path.substr(space + 1));
    } else if (!place.path.empty()) {
      condition = "__fish_seen_subcommand_from " + place.path;
    }
    for (const auto& [name, description] : place.verbs) {
      script += fmt::format("complete -c cloister -f -n {} -a {} -d {}\n", fishQuoted(condition), name,
                            fishQuoted(description));
    }
    for (const auto& [name, description] : place.options) {
      const std::string where = place.path.empty() ? "" : fmt::format(" -n {}", fishQuoted(condition));
      script += fmt::format("complete -c cloister{} -l {} -d {}\n", where, name.substr(2), fishQuoted(description));
    }
  }
  return script;
}

}  // namespace

std::string completionScript(const CLI::App& root, Shell shell) {
  std::vector<Place> places;
  collect(root, {}, places);
  switch (shell) {
    case Shell::bash:
      return bash(places);
    case Shell::zsh:
      return "#compdef cloister\nautoload -U +X bashcompinit && bashcompinit\n" + bash(places);
    case Shell::fish:
      return fish(places);
  }
  return {};
}

}  // namespace cloister::cli
