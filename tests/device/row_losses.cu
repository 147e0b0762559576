// The rowwise losses and what they are made of, compiled for a warp and a block.
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
}

}  // namespace

int main() {
  const lk::sparse_rows<float, lk::device_memory> of_float;
  const lk::sparse_rows<double, lk::device_memory> of_double;
  compile_all<detail::warp_team<4>>(of_float);
  compile_all<detail::block_team<512>>(of_double);
}
