// A sampler that cannot be asked.
// expect: limbeck: this sampler has no call with a const draw_request& that returns a std::vector<std::size_t> of rows
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
struct sampler {
#ifdef LIMBECK_CONTROL
  std::vector<std::size_t> operator()(const lk::draw_request& r) const { return std::vector<std::size_t>(r.batch); }
#else
  std::vector<std::size_t> operator()(std::size_t rows) const { return std::vector<std::size_t>(rows); }
#endif
};

void use(data& d);
void use(data& d) { static_cast<void>(lk::drawn_by(sampler{}, d)); }
