// An objective of all ranks' rows for pupils that learn from each other.
// expect: limbeck: mutual learning takes no batch_over(world, objective); over ranks its pupils have losses of rows
#include <limbeck/limbeck.hpp>
#include <limbeck/ranks.hpp>
#include <limbeck/trainer/mutual.hpp>

#include <vector>

namespace lk = limbeck;

struct pupil_model {
  std::vector<float> g;
  lk::rows<const float> forward(const std::vector<float>& x) { return {x.data(), x.size(), 1}; }
  void backward(lk::rows<const float>) {}
  void zero_gradients() {}
  std::vector<std::span<float>> gradients() { return {g}; }
};
struct numbers {
  struct some {
    std::vector<float> inputs;
  };
  std::size_t size() const { return 2; }
  some batch(std::span<const std::size_t> rows) { return {std::vector<float>(rows.size())}; }
};
struct nothing {
  void step(pupil_model&, lk::progress) {}
};

void use();
void use() {
  const lk::one_rank world;
  pupil_model a, b;
#ifdef LIMBECK_CONTROL
  const auto objective = lk::objective{lk::forward_kl{}};
  (void)world;
#else
  const auto objective = lk::batch_over(world, lk::forward_kl{});
#endif
  lk::mutual_trainer both{lk::pupil{a, objective, nothing{}}, lk::pupil{b, lk::forward_kl{}, nothing{}}};
  (void)both.fit(numbers{}, {});
}
