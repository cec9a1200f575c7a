/* In a role's place: hands its control channel (descriptor 3) to the test, over the socket STAND_IN,
 * and lives on until the test closes that. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void) {
  int test = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, STAND_IN, sizeof address.sun_path - 1);
  if (connect(test, (struct sockaddr *)&address, sizeof address) != 0) return EXIT_FAILURE;

  char octet = 0;
  struct iovec data = {&octet, 1};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control};
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof(int));
  int channel = 3;
  memcpy(CMSG_DATA(&control.header), &channel, sizeof channel);
  if (sendmsg(test, &message, 0) != 1) return EXIT_FAILURE;
  close(channel);
  while (read(test, &octet, 1) > 0) {
  }
  return EXIT_SUCCESS;
}
