#ifndef LIMBECK_DRIVER_ROUNDS_HPP
#define LIMBECK_DRIVER_ROUNDS_HPP

/// @file
/// What the drivers of several trainings share: metrics of each round, and a state that is saved between rounds.

#include <limbeck/trainer/archive.hpp>
#include <limbeck/trainer/checkpoint.hpp>
#include <limbeck/trainer/metrics.hpp>
#include <limbeck/trainer/training_run.hpp>

#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// What a training returned, as metrics.
template <class F>
metric_list metrics_of(F&& f) {
  using R = decltype(f());
  metric_list metrics;
  if constexpr (std::is_void_v<R>) {
    f();
  } else if constexpr (std::is_arithmetic_v<std::remove_cvref_t<R>>) {
    metrics.set("score", static_cast<double>(f()));
  } else {
    static_assert(std::is_convertible_v<R, metric_list>,
                  "limbeck: a training returns a metric_list, a number, or nothing");
    metrics = f();
  }
  return metrics;
}

/// The metrics of all rounds and what @p Rest archives besides.
template <class Rest>
class rounds_state {
 public:
  rounds_state(std::vector<metric_list>& rounds, Rest rest) : rounds_(rounds), rest_(std::move(rest)) {}
  template <class Archive>
  void serialize(Archive& archive) {
    std::vector<std::uint64_t> counts;
    metric_list all;  // "2 accuracy": of round 2
    for (std::size_t r = 0; r < rounds_.size(); ++r) {
      counts.push_back(rounds_[r].all().size());
      for (const auto& [name, value] : rounds_[r].all()) all.set(std::to_string(r) + ' ' + name, value);
    }
    archive("metrics_of_a_round", counts);
    archive("metrics", all);
    std::vector<metric_list> rounds(counts.size());
    std::size_t at = 0;
    for (std::size_t r = 0; r < counts.size(); ++r)
      for (std::uint64_t i = 0; i < counts[r]; ++i, ++at) {
        if (at == all.all().size())
          raise<value_error>("limbeck: the restored rounds count more metrics than the " + std::to_string(at) +
                             " that are there");
        const auto& [name, value] = all.all()[at];
        rounds[r].set(name.substr(name.find(' ') + 1), value);
      }
    rest_(archive);
    rounds_ = std::move(rounds);
  }

 private:
  std::vector<metric_list>& rounds_;
  Rest rest_;
};

/// Archives those of the parts that have a serialize: `part/0`, ...
template <class Archive, class... Parts>
void archive_parts(Archive& archive, Parts&... parts) {
  std::size_t i = 0;
  const auto one = [&](auto& p) {
    const std::string name = "part/" + std::to_string(i++);
    if constexpr (serializable<std::remove_reference_t<decltype(p)>>) archive(name, p);
  };
  (one(parts), ...);
}

/// Whether there was a checkpoint to go on from.
template <class State>
bool resume_rounds(const std::filesystem::path& path, State& state, const std::string& composition) {
  if (path.empty() || !std::filesystem::exists(path)) return false;
  load_checkpoint(path, state, composition);
  return true;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
