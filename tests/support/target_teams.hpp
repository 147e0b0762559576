#ifndef LIMBECK_TESTS_SUPPORT_TARGET_TEAMS_HPP
#define LIMBECK_TESTS_SUPPORT_TARGET_TEAMS_HPP

// The rows of targets as threads that share them make them, see thread_team.hpp.

#include "target_cases.hpp"
#include "thread_team.hpp"

namespace limbeck_test {

/// By threads of the host that share each row.
inline constexpr auto by_teams = [](const auto& side, const auto& t, double at) {
  using T = typename std::remove_cvref_t<decltype(side)>::scalar;
  const std::size_t n = t.samples(), c = t.classes();
  std::vector<T> out(n * c, T(7));
  const lk::detail::fill_arguments<T> in{side.student().memory, lk::detail::view_vector(side.labels()), at};
  using Job = lk::detail::fill_job<lk::detail::settled_t<decltype(t)>, T>;
  const Job job{lk::detail::settled(t, at), lk::rows<T>(out.data(), n, c), in};
  std::vector<T> memory(job.numbers(), T(5));
  const lk::detail::row_places<T, Job> all{job, n, 1, memory.size(), memory.data()};
  with_team<false>([&](const auto& team) { all.place(team, 0); });
  return out;
};

}  // namespace limbeck_test

#endif
