// A float student and a target in double.
// expect: limbeck: student and target hold different scalar types; float goes with float, double with double
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<double> doubles(6);
const lk::rows<const double> precise(doubles.data(), 2, 3);

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}(precise, lk::mean_of_logits(precise, precise));
#else
  lk::objective{lk::forward_kl{}}(student, lk::mean_of_logits(precise, precise));
#endif
}
