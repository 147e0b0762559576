// A learned temperature that is a variable: no optimiser of a trainer would step it.
// expect: limbeck: learned(T) of a double is a variable that no optimiser of a trainer would step; give it a temperature_parameter<float> T
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
  std::vector<std::span<float>> parameters();
  std::vector<std::span<float>> gradients();
};
struct sgd {
  template <class Model>
  void step(Model&, lk::progress) {}
};

void use(model& s, model& t);
void use(model& s, model& t) {
#ifdef LIMBECK_CONTROL
  lk::temperature_parameter<float> temperature(4);
#else
  const double temperature = 4;
#endif
  lk::trainer{s, t, lk::at_temperature(lk::learned(temperature), lk::forward_kl{}), sgd{}}.fit(data{}, {.epochs = 1});
}
