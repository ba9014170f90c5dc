import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Threads, a mapped file, a child process, the container's interfaces, through the JDK's own HTTP server. */
public class Server {
  static String answer() throws Exception {
    Path file = Files.createTempFile("mapped", null);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      MappedByteBuffer mapped = channel.map(FileChannel.MapMode.READ_WRITE, 0, 4096);
      mapped.put(0, (byte) 7);
      mapped.force();
    }
    Process child = new ProcessBuilder("echo", "of java").start();
    String said = new String(child.getInputStream().readAllBytes());
    String interfaces = Collections.list(NetworkInterface.getNetworkInterfaces()).stream()
        .map(NetworkInterface::getName).sorted().collect(Collectors.joining(" "));
    return "sum " + IntStream.rangeClosed(1, 1000).parallel().sum() + "\nmapped " + Files.readAllBytes(file)[0]
        + "\nchild " + said + "interfaces " + interfaces + "\n";
  }

  public static void main(String[] arguments) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
    server.setExecutor(Executors.newFixedThreadPool(4));
    server.createContext("/", exchange -> {
      String body;
      int status = 200;
      try {
        body = answer();
      } catch (Exception failure) {
        body = failure.toString();
        status = 500;
      }
      exchange.sendResponseHeaders(status, body.getBytes().length);
      exchange.getResponseBody().write(body.getBytes());
      exchange.close();
    });
    server.start();
  }
}
