#ifndef LIMBECK_TRAINER_FINGERPRINT_HPP
#define LIMBECK_TRAINER_FINGERPRINT_HPP

/// @file
/// What a run is made of, a line a setting, `key = value`: a checkpoint is resumed where all lines are the same.

#include <limbeck/objective/learned.hpp>
#include <limbeck/objective/words.hpp>
#include <limbeck/trainer/step.hpp>

#include <algorithm>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Where the members are that a `serialize` names: state, not settings.
class archived_places final : public any_archive {
 public:
  /// Whether @p member is one of them, has one in it, or owns the numbers of one.
  template <class T>
  bool has(const T& member) const {
    const auto first = reinterpret_cast<std::uintptr_t>(&member), last = first + sizeof member;
    std::uintptr_t data = 0;
    if constexpr (requires { member.data(); }) data = reinterpret_cast<std::uintptr_t>(member.data());
    return std::any_of(places_.begin(), places_.end(),
                       [&](std::uintptr_t p) { return (p >= first && p < last) || (p == data && data != 0); });
  }

 private:
  void item(const std::string&, const archived_item& x) override {
    places_.push_back(reinterpret_cast<std::uintptr_t>(x.kind == archived_item::list ? x.object : x.data));
  }
  std::vector<std::uintptr_t> places_;
};

/// One setting. A type's name goes without the namespace of version and vector width: a run may go on under other flags.
inline std::string line(const std::string& key, std::string value) {
  const std::string_view own = LIMBECK_DETAIL_TEXT(LIMBECK_DETAIL_ABI) "::";
  for (std::size_t at = 0; (at = value.find(own, at)) != std::string::npos;) value.erase(at, own.size());
  return key + " = " + value + '\n';
}

/// The settings of an optimiser: its members that it does not archive.
template <class Optimizer>
std::string optimizer_lines(const std::string& key, Optimizer& o) {
  std::string text;
  if constexpr (serializable<Optimizer> && members<Optimizer>() > 0 && !self_described<Optimizer>) {
    archived_places state;
    o.serialize(static_cast<any_archive&>(state));
    text = line(key, std::string(type_name<Optimizer>()));
    std::size_t i = 0;
    for_each_member(std::as_const(o), [&](const auto& m) {
      ++i;
      if (!state.has(m)) text += line(key + " member " + std::to_string(i), described(m));
    });
  } else {
    text = line(key, described(o));
  }
  return text;
}

/// A class of the user's.
template <class T>
std::string type_line(const std::string& key, const T& x) {
  return line(key, described_or_type(x));
}

/// The terms of an objective.
template <class Objective>
std::string objective_lines(const std::string& key, const Objective& objective) {
  std::string text;
  if constexpr (loss<Objective>) {
    std::size_t i = 0;
    for (const term_words& t : words_of(objective)) {
      const std::string term = key + " term " + std::to_string(++i);
      text += line(term, t.loss);
      const auto add = [&](const char* what, const std::string& value) {
        if (!value.empty()) text += line(term + ' ' + what, value);
      };
      add("weight", t.weight);
      if (t.power != 0) add("scale", "T^" + std::to_string(t.power));
      add("signal", t.signal);
      add("student temperature", t.student);
      add("teacher temperature", t.teacher);
      add("domain", t.domain);
      add("output", t.output);
      add("part of", t.part_of);
    }
  } else if constexpr (calls_over_ranks<Objective>) {
    text = objective_lines(key, objective.inner) + line(key + " is of", "the rows of all ranks");
  } else {
    text = line(key, described(objective));
  }
  return text;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
