// An expression has no memory to look at; Limbeck does not evaluate it in secret.
// expect: limbeck: this type is no tensor of floats of 16, 32 or 64 bits
#include <limbeck/eigen.hpp>

#include <vector>

namespace lk = limbeck;

const Eigen::MatrixXf s = Eigen::MatrixXf::Random(2, 3);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  const Eigen::MatrixXf sum = s + s;
  lk::objective{lk::forward_kl{}}(sum, s);
#else
  lk::objective{lk::forward_kl{}}(s + s, s);
#endif
}
