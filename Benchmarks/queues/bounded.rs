// bounded.rs - Rust's sync_channel on the same work: bounded THREADS COUNT. It has one receiver: consumers take turns.
use std::sync::{mpsc, Arc, Mutex};
use std::{env, thread, time::Instant};

fn main() {
    let words: Vec<usize> = env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let (threads, count) = (words[0], words[1]);
    let share = count / threads;
    let (sender, receiver) = mpsc::sync_channel::<usize>(1024);
    let receiver = Arc::new(Mutex::new(receiver));
    let begin = Instant::now();
    let mut all = Vec::new();
    for _ in 0..threads {
        let (sender, receiver) = (sender.clone(), receiver.clone());
        all.push(thread::spawn(move || (0..share).for_each(|item| sender.send(item).expect("open"))));
        all.push(thread::spawn(move || {
            if threads == 1 {
                let receiver = receiver.lock().expect("alone");
                (0..share).for_each(|_| _ = receiver.recv().expect("open"));
            } else {
                (0..share).for_each(|_| _ = receiver.lock().expect("sound").recv().expect("open"));
            }
        }));
    }
    all.into_iter().for_each(|thread| thread.join().expect("ended"));
    println!("{{\"items\":{count},\"seconds\":{}}}", begin.elapsed().as_secs_f64());
}
