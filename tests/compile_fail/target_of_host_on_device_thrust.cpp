// A device asks a target for a row that several threads share, and copies it.
// expect: limbeck: the fill of this target takes rows of the host only; on a device make it a template over the row
// expect: limbeck: the fill of a target inside this one takes rows of the host only; make it a template over the row
// expect: limbeck: this target holds settings that cannot be copied to a device; keep them trivially copyable
// expect: limbeck: these weights of teachers read rows on the host; on a device their statistic takes the team of the row first
#include <limbeck/limbeck.hpp>
#include <limbeck/targets.hpp>
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

struct plain {
  using limbeck_target = void;
  using scalar = float;
  using memory = lk::device_memory;
  static constexpr std::size_t scratch_rows = 0;
  std::size_t samples() const { return 2; }
  std::size_t classes() const { return 3; }
#ifndef LIMBECK_CONTROL
  void fill(const lk::target_row<float>& r) const {
    for (float& x : r.out) x = 0;
  }
#else
  template <class Row>
  void fill(const Row& r) const {
    r.each_own([&](std::size_t c) { r.out[c] = 0; });
  }
#endif
};
struct listed : lk::tensor_target<float, lk::device_memory> {
#ifndef LIMBECK_CONTROL
  std::vector<int> settings;
#endif
};
struct largest {
  static constexpr bool reads_sources = true, needs_labels = false;
  void check(std::size_t, std::size_t) const {}
#ifndef LIMBECK_CONTROL
  double statistic(const float* z, std::size_t n, std::int64_t) const { return static_cast<double>(lk::detail::row_maximum(z, n)); }
#else
  template <class Team>
  double statistic(const Team& team, const float* z, std::size_t n, std::int64_t) const {
    return static_cast<double>(lk::detail::row_maximum(team, z, n));
  }
#endif
  void weigh(std::size_t, std::span<double>) const {}
};
/// A team of two.
struct two : lk::detail::single_team {
  static constexpr bool alone = false;
};

void use();
void use() {
  thrust::device_vector<float> memory(6), other(6);
  const auto device = lk::on_device(memory, 2, 3);
  const auto out = lk::on_device(other, 2, 3);
  lk::fill(plain{}, out);
  lk::fill(listed{}, out);
  lk::mean_of_logits(plain{}).fill(lk::target_row<float, two>{});
  lk::mean_of_logits(device).weighted(largest{}).fill(lk::target_row<float, two>{});
}
