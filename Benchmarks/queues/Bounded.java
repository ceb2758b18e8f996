// Bounded.java - Java's ArrayBlockingQueue on the same work: java Bounded THREADS COUNT, THREADS producers and consumers.
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;

public class Bounded {
    interface Step { void run(ArrayBlockingQueue<Integer> queue, int item) throws InterruptedException; }

    static Thread start(ArrayBlockingQueue<Integer> queue, int count, Step step) {
        Thread thread = new Thread(() -> {
            try {
                for (int item = 0; item < count; item++) step.run(queue, item);
            } catch (InterruptedException end) {
                Thread.currentThread().interrupt();
            }
        });
        thread.start();
        return thread;
    }

    static double seconds(int threads, int count) throws InterruptedException {
        ArrayBlockingQueue<Integer> queue = new ArrayBlockingQueue<>(1024);
        List<Thread> all = new ArrayList<>();
        long begin = System.nanoTime();
        for (int each = 0; each < threads; each++) {
            all.add(start(queue, count / threads, (q, item) -> q.put(item)));
            all.add(start(queue, count / threads, (q, item) -> q.take()));
        }
        for (Thread thread : all) thread.join();
        return (System.nanoTime() - begin) / 1e9;
    }

    public static void main(String[] words) throws InterruptedException {
        int threads = Integer.parseInt(words[0]), count = Integer.parseInt(words[1]);
        seconds(threads, count / 4); // until it is compiled
        System.out.printf("{\"items\":%d,\"seconds\":%.9f}%n", count, seconds(threads, count));
    }
}
