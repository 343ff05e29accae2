extern "C" int read_digits(const char* folder);

int main(int, char** argv) {
  return read_digits(argv[1]);
}
