// An objective that learns, and a student whose parameters nobody but its own optimiser knows.
// expect: limbeck: this objective learns something (a projection, variances, a temperature), which the optimiser steps with the student
#include <limbeck/limbeck.hpp>
#include <limbeck/trainer.hpp>

#include <span>
#include <vector>

namespace lk = limbeck;
using view = lk::rows<const float>;

struct batch {
  std::vector<float> inputs;
  std::vector<int> labels;
};
struct data {
  std::size_t size() const { return 4; }
  struct batch batch(std::span<const std::size_t> rows) const;
};
struct model {
  view forward(const std::vector<float>& x);
  void backward(const view& g);
  void zero_gradients();
#ifdef LIMBECK_CONTROL
  std::vector<std::span<float>> parameters();
  std::vector<std::span<float>> gradients();
#endif
};
struct sgd {
  template <class Model>
  void step(Model&, lk::progress) {}
};

void use(model& s, model& t, lk::projection<float>& p);
void use(model& s, model& t, lk::projection<float>& p) {
  lk::trainer{s, t, lk::cross_entropy{} + lk::projected(p, lk::hint{}), sgd{}}.fit(data{}, {.epochs = 1});
}
