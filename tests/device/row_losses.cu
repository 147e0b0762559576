// The rowwise losses and what else is done to whole rows, compiled for a warp, a block, and one thread of the host.
#include <limbeck/engine/deviation.hpp>
#include <limbeck/engine/top_classes.hpp>
#include <limbeck/targets.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;
namespace detail = limbeck::detail;

namespace {

template <class Loss, class T, class Team>
__global__ void row_loss(const __grid_constant__ Loss loss, lk::row<T, Team> x, double* value) {
  const T v = loss(x);
  if (x.team.rank() == 0) *value = static_cast<double>(v);
}

template <std::size_t K, class T, class Team>
__global__ void top_ranks(const T* x, std::size_t classes, T* ranks) {
  detail::rank_classes<K>(Team{}, x, classes, detail::masked_logit<T>, ranks);
}

template <class T, class Team>
__global__ void row_deviation(const T* x, std::size_t classes, detail::deviation_of_row<T>* result) {
  using X = lk::pack<lk::scalar_lanes<T>>;
  const Team team;
  const auto d = detail::deviation_from([&](T origin) {
    detail::team_array<T, 3> sums{};
    detail::for_own<T>(team, classes, [&](std::size_t c) {
      detail::deviation_sums<X> one{{X(T(0)), X(T(0)), X(T(0))}};
      detail::add_deviation(X(x[c]), X(origin), one);
      for (std::size_t k = 0; k < 3; ++k) sums.v[k] += one.sum[k].v;
    });
    sums = team.sum(sums);
    return detail::deviation_sums<T>{{sums.v[0], sums.v[1], sums.v[2]}};
  });
  if (team.rank() == 0) result[0] = d, result[0].mean *= detail::per_deviation(d);
}

template <class Team, class T, class Loss>
void compile(const Loss& loss) {
  static_assert(lk::device_rowwise<Loss, T>);
  row_loss<Loss, T, Team><<<1, 1>>>(loss, lk::row<T, Team>{}, nullptr);
}

template <class Team, class T>
void compile_all(const lk::sparse_rows<T, lk::device_memory>& teacher) {
  compile<Team, T>(lk::margin_mse{});
  compile<Team, T>(lk::uld{});
  compile<Team, T>(lk::pld{});
  compile<Team, T>(lk::sparse_kl(teacher));
  compile<Team, T>(lk::sparse_divergence(lk::jensen_shannon{}, teacher));
  top_ranks<64, T, Team><<<1, 1>>>(nullptr, 0, nullptr);
  row_deviation<T, Team><<<1, 1>>>(nullptr, 0, nullptr);
}

/// As host calls in a file that nvcc compiles, and Thrust's host systems, run them.
template <class T>
double by_one_thread() {
  std::vector<T> x(9, T(1)), ranks(9), scratch(100);
  detail::rank_classes<5>(detail::single_team{}, x.data(), x.size(), T(0), ranks.data());
  const lk::row<T> r{x, ranks, 0, 0, T(1), T(1), scratch, {}, T(1), {}};
  return static_cast<double>(lk::uld{}(r) + lk::pld{}(r) + lk::margin_mse{}(r));
}

}  // namespace

int main() {
  const lk::sparse_rows<float, lk::device_memory> of_float;
  const lk::sparse_rows<double, lk::device_memory> of_double;
  compile_all<detail::lanes_team>(of_float);
  compile_all<detail::block_team>(of_double);
  return by_one_thread<float>() < 0;
}
